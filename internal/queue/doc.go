// Package queue is the durable queue between the collector and a store: records go in, and what was acknowledged comes
// out at least once, whatever dies in between. Records are opaque bytes; the writer of a store puts ready line protocol
// in them.
//
// # On disk
//
//	DIR/lock                  held (flock) by the process that has the folder open; names its pid
//	DIR/%016x.seg             segments, named by the first sequence number that they may hold
//	DIR/cursor                what was acknowledged by the reader, replaced atomically
//	DIR/dead/dead.jsonl       dead letters: what the store refuses for ever, with its message, a JSON object a line
//	DIR/dead/dead.1.jsonl     the older half of them
//	DIR/broken/               damaged segments and cursors, set aside; the newest 64 MiB are kept
//
// A segment is a header of 32 bytes, records, and, once it is sealed, a footer that sums it up. A record is a header of
// 40 bytes (mark, CRC-32C of all that follows, lengths, sequence number, time, points, codec) and the payload, zstd where that
// is shorter. All numbers are little endian. The mark and the sequence number are there so that the records behind a
// damaged one are found again.
//
// # What an acknowledgement means
//
// When Append returns nil, the record has been handed to the kernel with write(2): it survives kill -9, a panic and an
// out-of-memory kill at once. It survives a power cut after Options.SyncEvery, when Run has called fsync(2); with
// SyncEvery zero Append itself waits for fsync. From then on the record reaches a reader at least once, until the size
// or the age limit drops it, which is counted. When Append returns an error, nothing was promised.
//
// When Batch.Ack returns, the records are not handed out again by this process. After a restart those of the last
// moment before the end (at most a second, or SyncEvery if that is longer) may be: resends must be harmless.
//
// # Two lanes
//
// Fresh hands out the newest records first, as long as they are fresh (Options.FreshFor); Backlog hands out all others, and
// fresh ones as well when no reader waits for them, oldest first. After an outage one reader thus brings the present up to date at once, while the
// other works off the past. One reader on Backlog alone gets everything in order.
//
// # What goes wrong, and what is done
//
//   - A torn tail (kill -9 or a power cut in the middle of a write) is cut; it was never acknowledged.
//   - A damaged record is left out and counted, all others of its segment are handed out; the segment is set aside under
//     broken/ instead of being deleted, and Health and the log name it.
//   - A damaged cursor is set aside; everything that is still on disk is handed out once more.
//   - A full disk: Append returns ErrFull and counts what it could not accept, Health says DiskFull. Readers go on. Data is
//     accepted again as soon as there is room.
//   - An fsync that fails: Health says SyncFailed until what waited for it has been written once more and synced, as the kernel
//     may call the pages clean after the first failure and say nothing at the next fsync.
//   - A clock that steps does nothing: ages are measured by a clock inside the queue, which runs with the machine's uptime and is carried
//     over a reboot by the wall clock, at most a day forward and never back.
//
// # Memory
//
// Bounded whatever the backlog: the batches in flight (3 MiB a lane), the indexes of at most five segments (640 KiB each at the
// very most), and two bits a record.
package queue
