module plimsoll.dev/plimsoll/test/hostile

go 1.26.0

require (
	github.com/klauspost/compress v1.20.1
	golang.org/x/crypto v0.57.0
	google.golang.org/protobuf v1.36.12
)
