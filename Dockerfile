# Plimsoll's image, for whoever builds with Docker: what is in it is what 'make image' puts in it, and a test keeps them equal.
#   docker build --build-arg VERSION=1.0 --build-arg COMMIT=$(git rev-parse HEAD) -t plimsoll:1.0 .
FROM golang:1.26 AS build
ARG VERSION=unknown
ARG COMMIT=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN mkdir -p /out/data && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /out/plimsoll ./cmd/plimsoll

FROM scratch
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="plimsoll" \
      org.opencontainers.image.description="Container monitoring and automatic horizontal scaling, in one binary" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://plimsoll.dev" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --chown=65534:65534 --from=build /out/data /var/lib/plimsoll
COPY --from=build /out/plimsoll /plimsoll
USER 65534:65534
WORKDIR /var/lib/plimsoll
ENTRYPOINT ["/plimsoll"]
