/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS over TCP, the server's side (RFC 1035 4.2.2, RFC 7766): messages out of a byte stream, and answers into one.
 *
 * Sans-IO: no system call, no clock, no allocation but from its own memory. `now` is in microseconds of a monotonic
 * clock. A stream is known by a small number, from 1; 0 is none.
 *
 * Queries may be pipelined, and answers may come in any order. What bounds it: a stream whose queries are not answered
 * yet, or whose answers are not read, takes no more; answers live in blocks of one pool; and who says nothing for
 * a while is to be closed, the sooner the more streams there are (RFC 7766 6.2.3).
 */
#ifndef CLOISTER_DNS_STREAM_H
#define CLOISTER_DNS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"

#define DNS_STREAM_QUERY_MAX 2048u /* bytes of a query that are kept; what follows is read and forgotten */
#define DNS_STREAM_PIPELINE 16u    /* queries of one stream that may wait for their answers */
#define DNS_STREAM_UNREAD 16384u   /* bytes of answers not read, beyond which no query is taken */
#define DNS_STREAM_IDLE 20000000u  /* microseconds a stream may be silent; */
#define DNS_STREAM_HURRY 2000000u  /* the same while more than half of all streams are in use */

struct dns_streams_config {
    uint32_t streams;   /* at once, 1 to POOL_MAX_SLOTS (base/pool.h) */
    uint32_t blocks;    /* of 4 KiB, for answers that are not read yet */
    uint32_t max_hosts; /* workstation numbers, 1 to 65535 */
};

struct dns_streams;

/* Bytes of memory that `config` needs; 0 if it is out of range. */
size_t dns_streams_size(const struct dns_streams_config *config);

/* Build in `memory`: zeroed, 64-byte aligned, dns_streams_size() bytes, owned by the caller and in use until it is no
 * more. */
struct dns_streams *dns_streams_init(void *memory, const struct dns_streams_config *config);

/* A new stream of workstation `host`. 0 if there are too many, in all or of this workstation. */
uint32_t dns_stream_open(struct dns_streams *streams, uint32_t host, uint64_t now);

/* The stream is over, with all that was not read. */
void dns_stream_close(struct dns_streams *streams, uint32_t stream);

/* True if a query would be taken now. When this becomes true again the stream's owner is to be told. */
bool dns_stream_is_ready(const struct dns_streams *streams, uint32_t stream);

/* Take bytes of the client from `in`, up to the end of the first message that becomes complete. True if one did: it
 * is in *message, without its length prefix, until the next call about this stream, and counts as waiting until
 * dns_stream_put() or dns_stream_skip(). Nothing is taken while the stream is not ready. A message longer than
 * DNS_STREAM_QUERY_MAX comes cut off. Call until false. */
bool dns_stream_feed(struct dns_streams *streams, uint32_t stream, struct bytes *in, struct bytes *message,
                     uint64_t now);

/* The answer to one of the queries: `len` bytes, 1 to 65535, to which the prefix is added. 0; or -ENOBUFS if there is no
 * block for it: close the stream, because a client that misses one answer would wait for ever. */
int dns_stream_put(struct dns_streams *streams, uint32_t stream, const uint8_t *message, size_t len, uint64_t now);

/* One of the messages gets no answer. */
void dns_stream_skip(struct dns_streams *streams, uint32_t stream);

/* Move what the client is to get into `iov`. Returns the bytes, 0 if there is nothing now. */
size_t dns_stream_get(struct dns_streams *streams, uint32_t stream, const struct iovec *iov, int count,
                      uint64_t now);

/* True if nothing waits: no query for its answer, no answer for its reader. What came of a next query does not count. */
bool dns_stream_is_idle(const struct dns_streams *streams, uint32_t stream);

/* No more is taken from this stream: what its client still sends is read and forgotten. It is not silent any more. */
void dns_stream_retire(struct dns_streams *streams, uint32_t stream);

/* The stream that has been silent too long by `now`, or 0. Retire or close it, then ask again. */
uint32_t dns_streams_overdue(const struct dns_streams *streams, uint64_t now);

/* When that is worth asking next, in *at; false if there are none. */
bool dns_streams_next(const struct dns_streams *streams, uint64_t *at);

/* Streams in use. */
uint32_t dns_streams_count(const struct dns_streams *streams);

#endif
