/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream's slot holds the query that is coming in; its answers are a list of blocks, filled one behind the other. All
 * streams are in one list, the one that was silent longest first. Only what completes something moves a stream to
 * its end: a whole query, an answer, bytes read. So who sends a byte a minute is closed like who sends nothing.
 */
#include "dns/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/pool.h"
#include "base/share.h"
#include "dns/layout.h"

#define BLOCK_SIZE 4096u /* bytes */
#define PREFIX_SIZE 2u   /* bytes of length before each message */

struct stream {
    uint32_t older, newer; /* neighbours in the list by silence, 0 at the ends */
    uint32_t host;
    uint32_t head, tail; /* blocks with answers, 0 if there is none */
    uint32_t unread;     /* bytes in them */
    uint32_t waiting;    /* queries that were handed out and not answered */
    uint32_t have;       /* bytes of the coming message that came, its prefix included */
    uint32_t want;       /* bytes it has in all; of meaning once its prefix is there */
    uint64_t active_at;  /* us */
    bool retired;        /* in no list, and takes nothing any more */
    uint8_t prefix[PREFIX_SIZE];
    uint8_t query[DNS_STREAM_QUERY_MAX];
};

struct block {
    uint32_t next;     /* 0 at the end */
    uint16_t from, to; /* what is not read: data[from .. to) */
    uint8_t data[BLOCK_SIZE - 8];
};
static_assert(sizeof(struct block) == BLOCK_SIZE, "a block is a page");

struct dns_streams {
    struct dns_streams_config config;
    struct pool streams;
    struct pool blocks;
    uint32_t *host_streams;  /* per host: its streams */
    uint32_t oldest, newest; /* ends of the list by silence */
};

/* Where the parts of the memory begin; the last is its end. */
struct layout {
    size_t hosts, stream_overhead, block_overhead, streams, blocks, end;
};

static struct layout layout_of(const struct dns_streams_config *config)
{
    struct layout l;
    l.hosts = dns_layout_round_up(sizeof(struct dns_streams));
    l.stream_overhead = l.hosts + dns_layout_round_up(config->max_hosts * sizeof(uint32_t));
    l.block_overhead = l.stream_overhead + dns_layout_round_up(pool_overhead(config->streams));
    l.streams = l.block_overhead + dns_layout_round_up(pool_overhead(config->blocks));
    l.blocks = l.streams + dns_layout_round_up((size_t)config->streams * sizeof(struct stream));
    l.end = l.blocks + (size_t)config->blocks * sizeof(struct block);
    return l;
}

size_t dns_streams_size(const struct dns_streams_config *config)
{
    if (config->streams == 0 || config->streams > POOL_MAX_SLOTS || config->blocks == 0 ||
        config->blocks > POOL_MAX_SLOTS || config->max_hosts == 0 || config->max_hosts > 65535)
        return 0;
    return layout_of(config).end;
}

struct dns_streams *dns_streams_init(void *memory, const struct dns_streams_config *config)
{
    assert(dns_streams_size(config) != 0);
    struct layout l = layout_of(config);
    uint8_t *base = memory;
    struct dns_streams *streams = memory;
    streams->config = *config;
    streams->host_streams = (uint32_t *)(void *)(base + l.hosts);
    pool_init(&streams->streams, base + l.streams, sizeof(struct stream), config->streams,
              base + l.stream_overhead);
    pool_init(&streams->blocks, base + l.blocks, sizeof(struct block), config->blocks, base + l.block_overhead);
    return streams;
}

static struct stream *stream_at(const struct dns_streams *streams, uint32_t i)
{
    assert(pool_is_taken(&streams->streams, i));
    return pool_at(&streams->streams, i);
}

static struct block *block_at(const struct dns_streams *streams, uint32_t i)
{
    return pool_at(&streams->blocks, i);
}

static void list_remove(struct dns_streams *streams, const struct stream *s)
{
    if (s->older != 0)
        stream_at(streams, s->older)->newer = s->newer;
    else
        streams->oldest = s->newer;
    if (s->newer != 0)
        stream_at(streams, s->newer)->older = s->older;
    else
        streams->newest = s->older;
}

static void list_append(struct dns_streams *streams, struct stream *s, uint32_t i)
{
    s->older = streams->newest;
    s->newer = 0;
    if (streams->newest != 0)
        stream_at(streams, streams->newest)->newer = i;
    else
        streams->oldest = i;
    streams->newest = i;
}

static void touch(struct dns_streams *streams, struct stream *s, uint32_t i, uint64_t now)
{
    s->active_at = now;
    if (streams->newest == i || s->retired)
        return;
    list_remove(streams, s);
    list_append(streams, s, i);
}

uint32_t dns_stream_open(struct dns_streams *streams, uint32_t host, uint64_t now)
{
    assert(host < streams->config.max_hosts);
    if (!share_has_room(streams->host_streams[host], streams->streams.used, streams->config.streams))
        return 0;
    uint32_t i = pool_take(&streams->streams);
    if (i == 0)
        return 0;
    struct stream *s = stream_at(streams, i);
    memset(s, 0, offsetof(struct stream, query));
    s->host = host;
    s->active_at = now;
    streams->host_streams[host]++;
    list_append(streams, s, i);
    return i;
}

/* Give the first block of a stream back. */
static void drop_head(struct dns_streams *streams, struct stream *s)
{
    uint32_t next = block_at(streams, s->head)->next;
    pool_give(&streams->blocks, s->head);
    s->head = next;
    if (next == 0)
        s->tail = 0;
}

void dns_stream_close(struct dns_streams *streams, uint32_t stream)
{
    struct stream *s = stream_at(streams, stream);
    while (s->head != 0)
        drop_head(streams, s);
    if (!s->retired)
        list_remove(streams, s);
    streams->host_streams[s->host]--;
    pool_give(&streams->streams, stream);
}

static bool is_ready(const struct stream *s)
{
    return s->retired || (s->waiting < DNS_STREAM_PIPELINE && s->unread < DNS_STREAM_UNREAD);
}

bool dns_stream_is_ready(const struct dns_streams *streams, uint32_t stream)
{
    return is_ready(stream_at(streams, stream));
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Take the prefix, or what of it is there. True once it is complete. */
static bool take_prefix(struct stream *s, struct bytes *in)
{
    while (s->have < PREFIX_SIZE && in->left > 0)
        s->prefix[s->have++] = bytes_u8(in);
    if (s->have == PREFIX_SIZE)
        s->want = PREFIX_SIZE + be16_load(s->prefix);
    return s->have >= PREFIX_SIZE;
}

/* Take what follows the prefix, and keep what there is room for. */
static void take_body(struct stream *s, struct bytes *in)
{
    size_t n = lesser(in->left, s->want - s->have);
    size_t at = s->have - PREFIX_SIZE;
    const uint8_t *p = bytes_take(in, n);
    if (p != NULL && at < sizeof(s->query))
        memcpy(s->query + at, p, lesser(n, sizeof(s->query) - at));
    s->have += (uint32_t)n;
}

bool dns_stream_feed(struct dns_streams *streams, uint32_t stream, struct bytes *in, struct bytes *message,
                     uint64_t now)
{
    struct stream *s = stream_at(streams, stream);
    if (s->retired)
        bytes_take(in, in->left);
    while (is_ready(s) && in->left > 0) {
        if (!take_prefix(s, in))
            return false;
        take_body(s, in);
        if (s->have < s->want)
            return false;
        size_t len = s->want - PREFIX_SIZE;
        s->have = 0;
        touch(streams, s, stream, now);
        if (len == 0)
            continue;
        *message = bytes_of(s->query, lesser(len, sizeof(s->query)));
        s->waiting++;
        return true;
    }
    return false;
}

/* True if there are blocks for `len` more bytes. */
static bool has_room(const struct dns_streams *streams, const struct stream *s, size_t len)
{
    const size_t whole = sizeof(((struct block *)NULL)->data);
    size_t room = s->tail != 0 ? whole - block_at(streams, s->tail)->to : 0;
    size_t blocks = len > room ? (len - room + whole - 1) / whole : 0;
    return blocks <= streams->blocks.count - streams->blocks.used;
}

static void append(struct dns_streams *streams, struct stream *s, const uint8_t *data, size_t len)
{
    while (len > 0) {
        struct block *b = s->tail != 0 ? block_at(streams, s->tail) : NULL;
        if (b == NULL || b->to == sizeof(b->data)) {
            uint32_t i = pool_take(&streams->blocks);
            if (b != NULL)
                b->next = i;
            else
                s->head = i;
            s->tail = i;
            b = block_at(streams, i);
            b->next = 0;
            b->from = b->to = 0;
        }
        size_t n = lesser(len, sizeof(b->data) - b->to);
        memcpy(b->data + b->to, data, n);
        b->to = (uint16_t)(b->to + n);
        s->unread += (uint32_t)n;
        data += n;
        len -= n;
    }
}

int dns_stream_put(struct dns_streams *streams, uint32_t stream, const uint8_t *message, size_t len, uint64_t now)
{
    struct stream *s = stream_at(streams, stream);
    assert(len > 0 && len <= 65535 && s->waiting > 0);
    if (!has_room(streams, s, PREFIX_SIZE + len))
        return -ENOBUFS;
    uint8_t prefix[PREFIX_SIZE];
    be16_store(prefix, (uint16_t)len);
    append(streams, s, prefix, sizeof(prefix));
    append(streams, s, message, len);
    s->waiting--;
    touch(streams, s, stream, now);
    return 0;
}

void dns_stream_skip(struct dns_streams *streams, uint32_t stream)
{
    struct stream *s = stream_at(streams, stream);
    assert(s->waiting > 0);
    s->waiting--;
}

/* Move up to `len` bytes. */
static size_t take_answer(struct dns_streams *streams, struct stream *s, uint8_t *out, size_t len)
{
    size_t total = 0;
    while (total < len && s->head != 0) {
        struct block *b = block_at(streams, s->head);
        size_t n = lesser(len - total, (size_t)(b->to - b->from));
        memcpy(out + total, b->data + b->from, n);
        b->from = (uint16_t)(b->from + n);
        total += n;
        if (b->from == b->to)
            drop_head(streams, s);
    }
    s->unread -= (uint32_t)total;
    return total;
}

size_t dns_stream_get(struct dns_streams *streams, uint32_t stream, const struct iovec *iov, int count,
                      uint64_t now)
{
    struct stream *s = stream_at(streams, stream);
    size_t total = 0;
    for (int i = 0; i < count && s->unread > 0; i++)
        total += take_answer(streams, s, iov[i].iov_base, iov[i].iov_len);
    if (total > 0)
        touch(streams, s, stream, now);
    return total;
}

bool dns_stream_is_idle(const struct dns_streams *streams, uint32_t stream)
{
    const struct stream *s = stream_at(streams, stream);
    return s->waiting == 0 && s->unread == 0;
}

void dns_stream_retire(struct dns_streams *streams, uint32_t stream)
{
    struct stream *s = stream_at(streams, stream);
    if (!s->retired)
        list_remove(streams, s);
    s->retired = true;
}

/* Microseconds a stream may be silent now. */
static uint64_t patience(const struct dns_streams *streams)
{
    return streams->streams.used > streams->config.streams / 2 ? DNS_STREAM_HURRY : DNS_STREAM_IDLE;
}

uint32_t dns_streams_overdue(const struct dns_streams *streams, uint64_t now)
{
    uint32_t i = streams->oldest;
    return i != 0 && now >= stream_at(streams, i)->active_at + patience(streams) ? i : 0;
}

bool dns_streams_next(const struct dns_streams *streams, uint64_t *at)
{
    if (streams->oldest == 0)
        return false;
    *at = stream_at(streams, streams->oldest)->active_at + patience(streams);
    return true;
}

uint32_t dns_streams_count(const struct dns_streams *streams)
{
    return streams->streams.used;
}
