// Package decisions keeps the autoscaler's decisions in a log on disk: for the embedded store, and for every history whose
// engine has no place for them.
//
// The log is a folder of segments of about a megabyte. A line is a CRC-32C in eight hexadecimal digits, a space, a JSON object
// without line breaks, and a line break. The CRC is that of the object. A line that is torn or damaged costs itself only.
//
// When AppendDecision returns nil the decision has been handed to the kernel with write(2): it survives kill -9, and a power
// cut once the kernel has written it back.
package decisions
