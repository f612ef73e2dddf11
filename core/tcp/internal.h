/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the engine share, and nobody else sees. One heading per file; engine.c's essay says how they
 * play together.
 */
#ifndef CLOISTER_TCP_INTERNAL_H
#define CLOISTER_TCP_INTERNAL_H

#include "base/pool.h"
#include "base/siphash.h"
#include "base/wheel.h"
#include "tcp/chunk.h"
#include "tcp/engine.h"
#include "tcp/flow.h"
#include "tcp/segment.h"
#include "tcp/seq.h"

#define RCV_SHIFT 3u                         /* our window scale: 512 KiB at most, in steps of 8 bytes */
#define RCV_WINDOW_MAX (65535u << RCV_SHIFT) /* bytes */
#define RCV_WINDOWS_ALL (8u << 20)           /* bytes that all flows may have under way to us, beyond: */
#define RCV_WINDOW_MIN (16u << 10)           /* bytes that each may have, however many there are */
#define RCV_SINGLE_SHARE 2u                  /* a link without super-segments has so much less room for both */
#define SND_QUEUE_MAX (1u << 20)             /* bytes of one flow's send queue, at most */
#define SND_QUEUE_MIN (16u << 10)            /* bytes that each may have, however many there are */
#define RTO_INITIAL 1000u                    /* ms (RFC 6298 2.1) */
#define RTO_AFTER_LOSS 3000u                 /* ms, when the SYN-ACK was lost and gave no sample (RFC 6298 5.7) */
#define RTO_SLACK 200u   /* ms added to SRTT at least: a receiver may wait so long with its ACK */
#define RTO_MAX 60000u   /* ms (RFC 6298 2.5) */
#define DATA_RETRIES 15u /* timeouts in a row before a flow is given up; past R2 of 100 s */
#define SYN_RETRIES 7u   /* SYN-ACKs sent again: 1+2+4+8+16+32+60+60 s in all, past R2 of 3 min (RFC 9293 3.8.3) */
#define OPEN_RETRIES 7u  /* SYNs of ours: 1+2+4+8+16+32+60+60 s, past R2 of 3 minutes (RFC 1122 4.2.3.5) */
#define QUICK_ACKS 16u   /* ACKs not delayed, until the first data of ours */
#define DELAYED_ACK 40u  /* ms */
#define PEER_RTO_MAX                                                                                               \
    120000u /* ms, after which a workstation sends again at the latest: Linux's and BSD's are not larger */
#define TIME_WAIT_MS (PEER_RTO_MAX + 5000u)  /* 2 MSL; a FIN sent again still finds us, whatever the backoff */
#define FIN_WAIT_2_MS (PEER_RTO_MAX + 5000u) /* silence allowed in FIN_WAIT_2, for the same reason */

#define RECENT 64u /* flows that are remembered, by the last bits of their source port */
#define GATHER_SLOTS 8u
#define GATHER_IOV 64u
#define BOARD_BLOCKS 16u
#define BOARD_RESENT 16u

/* In-order payload of one flow, as it lies in the caller's buffers, until the end of the turn. */
struct gather {
    uint32_t flow; /* slot number, 0 = free */
    int count;
    uint32_t bytes;
    struct iovec iov[GATHER_IOV];
};

/* A retransmission of [left, right) that was not answered yet. */
struct resent {
    uint32_t left, right;
    uint32_t at; /* us */
    bool lost;   /* to be sent once more */
};

/* F-RTO (RFC 5682). */
enum frto {
    FRTO_NONE,   /* it is decided, or not asked */
    FRTO_FIRST,  /* the first answer after the timeout */
    FRTO_SECOND, /* the answer to what was sent instead of another retransmission */
};

/* What a flow in trouble remembers: the SACK scoreboard (RFC 6675), times (RFC 8985), the pace of its recovery (RFC
 * 6937), and how things were before it. Held while there are blocks, a probe is out, or recovery is under way. */
struct board {
    uint32_t count; /* blocks that the workstation reported beyond snd_una, ascending and disjoint */
    struct sack_block block[BOARD_BLOCKS];
    uint32_t resent_count;
    struct resent resent[BOARD_RESENT]; /* oldest first */

    uint32_t rack_rtt;    /* us from sending to arrival of what was sent last of all that arrived; 0: nothing yet */
    uint32_t rack_at;     /* us, when it was sent */
    uint32_t rack_end;    /* and where it ended */
    uint32_t rack_top;    /* end of the highest block that was sent only once */
    uint32_t rack_top_at; /* us, when that was */

    uint32_t prr_flight;    /* bytes in flight when recovery began */
    uint32_t prr_delivered; /* bytes that arrived since */
    uint32_t prr_out;       /* bytes sent since */

    uint32_t undo_cwnd; /* cwnd and ssthresh before the reduction; 0: nothing to undo */
    uint32_t undo_ssthresh;
    uint32_t undo_ts; /* timestamp of the first retransmission: an echo from before says it was not needed */
    enum frto frto;   /* without timestamps: what is awaited, to know whether a timeout was a mistake */
};

/* What one workstation uses. */
struct host_use {
    uint32_t flows;
    uint32_t connecting;
    uint32_t chunks;
    uint32_t senders;                     /* flows with a send queue that is not empty */
    uint32_t senders_most;                /* that there were lately */
    uint32_t senders_at;                  /* ms, when that was last lowered */
    uint32_t starved_first, starved_last; /* flows that wait for a chunk, linked as those in TIME_WAIT are */
    uint32_t starved_next; /* the next account of the ring of those with such flows; a number and 1, 0 ends it */
    bool starving;         /* in that ring */
    uint64_t up_bytes;     /* of all its flows so far, as in struct tcp_counters */
    uint64_t down_bytes;
};

/* A flow that was looked for not long ago, tried before the table: the segments of a batch belong to few. */
struct recent {
    uint32_t ports; /* source, destination */
    uint32_t flow;  /* slot number, 0 = none */
};

/* How many flows send payload to us at once: those of a round, each counted with the first that it sends there. */
struct uploads {
    uint32_t count; /* in this round */
    uint32_t most;  /* that there were lately */
    uint32_t since; /* ms, when this round began */
    uint32_t round; /* 1 to 15, in turns: an old one is taken for a new one now and then, and not counted */
};

struct tcp_engine {
    struct tcp_config cfg;
    struct tcp_ops ops;
    void *ctx;
    struct siphash_key table_key;
    struct siphash_key isn_key;
    struct siphash_key ts_key;
    struct siphash_key port_key;
    uint64_t ports_picked; /* so far */

    uint64_t now; /* us, as the last call gave it */
    uint32_t now_ms;

    struct pool flows;
    uint32_t *generation; /* of slot i at [i - 1]; outlives the slot's page */
    uint32_t *buckets;    /* hash table: first flow of each bucket */
    uint32_t bucket_mask;
    bool hashed; /* a flow was put into it since tcp_engine_settle() found it empty */
    struct recent recent[RECENT];
    struct chunks chunks;
    struct pool boards;
    struct host_use *hosts; /* by account */
    uint16_t *accounts;     /* of each workstation */
    struct uploads uploads;
    struct wheel wheel;

    uint32_t list_first, list_last;           /* the turn's list */
    uint32_t budget;                          /* (super-)segments with payload that may leave in this turn yet */
    uint32_t time_wait_first, time_wait_last; /* oldest first; linked by snd_head (next) and snd_tail (previous) */
    uint32_t starving_first,
        starving_last; /* accounts with flows that wait for a chunk, by number and 1; whose turn is next first */
    bool chunk_back;   /* a chunk was given back since they were looked at */
    struct gather gather[GATHER_SLOTS];
    uint32_t gathers;  /* of these in use */
    uint32_t arrivals; /* segments given to the reassembly list so far; wraps */

    struct tcp_counters counters;
    struct drops drops;
    struct tcp_out out; /* the segment being built */
};

/* engine.c: every entry point sets the clock first. */
void engine_set_clock(struct tcp_engine *e, uint64_t now);

static inline void engine_clock(struct tcp_engine *e, uint64_t now)
{
    if (now != e->now)
        engine_set_clock(e, now);
}

/* table.c: finding, making and ending flows. */
static inline struct flow *flow_at(const struct tcp_engine *e, uint32_t i)
{
    return (struct flow *)(void *)e->flows.slots + (i - 1);
}

static inline uint32_t flow_index(const struct tcp_engine *e, const struct flow *f)
{
    return (uint32_t)(f - (const struct flow *)(const void *)e->flows.slots) + 1;
}

struct tcp_flow_id flow_id(const struct tcp_engine *e, const struct flow *f);

static inline struct recent *recent_at(struct tcp_engine *e, uint16_t src_port)
{
    return &e->recent[src_port % RECENT];
}

/* The flow between these, if it was looked for of late. Whether it is can be said of any other without a look at it. */
static inline struct flow *flow_recent(struct tcp_engine *e, const struct ipaddr *src, const struct ipaddr *dst,
                                       uint16_t src_port, uint16_t dst_port)
{
    const struct recent *r = recent_at(e, src_port);
    if (r->ports != ((uint32_t)src_port << 16 | dst_port) || r->flow == 0)
        return NULL;
    struct flow *f = flow_at(e, r->flow);
    return ipaddr_equal(&f->tuple.src, src) && ipaddr_equal(&f->tuple.dst, dst) ? f : NULL;
}

struct flow *flow_find(const struct tcp_engine *e, const struct tcp_tuple *tuple);
/* The same, and remember it. */
struct flow *flow_find_anew(struct tcp_engine *e, const struct tcp_tuple *tuple);

static inline struct flow *flow_recall(struct tcp_engine *e, const struct tcp_tuple *tuple)
{
    struct flow *f = flow_recent(e, &tuple->src, &tuple->dst, tuple->src_port, tuple->dst_port);
    return f != NULL ? f : flow_find_anew(e, tuple);
}

/* The flow a handle names, or NULL if that one is gone. */
struct flow *flow_of_id(const struct tcp_engine *e, struct tcp_flow_id id);
/* A zeroed flow in the table, or NULL when it is full. */
struct flow *flow_create(struct tcp_engine *e, const struct tcp_tuple *tuple, uint32_t host);
/* Put on the turn's list: tcp_flush() will look at it. */
void flow_put_on_list(struct tcp_engine *e, struct flow *f);

static inline void flow_list(struct tcp_engine *e, struct flow *f)
{
    if (!(f->flags & FLOW_LISTED))
        flow_put_on_list(e, f);
}

/* Let go of everything but the slot, which tcp_flush() frees. Nothing is sent. */
void flow_end(struct tcp_engine *e, struct flow *f, enum tcp_release how);
void flow_release_upstream(struct tcp_engine *e, struct flow *f, enum tcp_release how);
/* No longer counted as connecting. */
void flow_settled(struct tcp_engine *e, struct flow *f);
void flow_free_slot(struct tcp_engine *e, struct flow *f);
/* End a flow in TIME_WAIT for a SYN that is here. Its slot is free at once if nothing happened to it in this turn: the
 * upstream was let go of before, so nobody knows the number. */
void flow_end_time_wait(struct tcp_engine *e, struct flow *f);
void flow_enter_time_wait(struct tcp_engine *e, struct flow *f);
/* Put at the end of, or take out of, a list linked by snd_head (next) and snd_tail (previous): of flows whose queue is
 * empty. */
void flow_link(struct tcp_engine *e, struct flow *f, uint32_t *first, uint32_t *last);
void flow_unlink(struct tcp_engine *e, struct flow *f, uint32_t *first, uint32_t *last);
uint32_t flow_isn(const struct tcp_engine *e, const struct tcp_tuple *tuple);
uint32_t flow_ts_offset(const struct tcp_engine *e, const struct tcp_tuple *tuple);

/* memory.c: chunks, on the account of a workstation, and who waits for one. */
/* A chunk, or 0 if the pool or the quota is exhausted. */
uint32_t memory_take(struct tcp_engine *e, struct flow *f);
void memory_give(struct tcp_engine *e, struct flow *f, uint32_t chunk);
/* How many memory_take() would give. */
uint32_t memory_left(const struct tcp_engine *e, const struct flow *f);
/* Nothing is in this flow's queue: wait for a chunk. False if there is one, and so that is not what it lacks. */
bool memory_wait(struct tcp_engine *e, struct flow *f);
/* Wait no more. */
void memory_wait_over(struct tcp_engine *e, struct flow *f);
/* Let those have their turn for whom there is a chunk now. True if there are more of them. */
bool memory_share(struct tcp_engine *e);

/* emit.c: segments out. */
void emit_ack(struct tcp_engine *e, struct flow *f);
void emit_ack_dsack(struct tcp_engine *e, struct flow *f, struct sack_block dup);
void emit_challenge(struct tcp_engine *e, struct flow *f);
/* SYN in SYN_SENT, else SYN-ACK. */
void emit_syn(struct tcp_engine *e, struct flow *f);
/* Payload [seq, seq + len) of the send queue, with FIN if asked, and with PSH if asked or if it belongs there. */
void emit_data(struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len, bool fin, bool push);
/* RST for a flow: from snd_nxt, acknowledging rcv_nxt. */
void emit_reset(struct tcp_engine *e, struct flow *f);
/* RST for a segment that no flow wants (RFC 9293 3.10.7.1). */
void emit_reset_for(struct tcp_engine *e, const struct tcp_in *in, const struct segment *s);
/* emit_mss() when there are SACK blocks to tell. */
uint32_t emit_mss_beside_blocks(const struct tcp_engine *e, const struct flow *f);
/* Payload of a full segment that carries what an ACK of this flow carries now. */
static inline uint32_t emit_mss(const struct tcp_engine *e, const struct flow *f)
{
    return (f->flags & FLOW_SACK) && f->rcv_head != 0 ? emit_mss_beside_blocks(e, f) : f->snd_mss;
}

/* handshake.c: a SYN of the workstation to ESTABLISHED, and what active.c shares. */
void handshake_listen(struct tcp_engine *e, const struct tcp_in *in, const struct segment *s);
/* The same for a SYN that ends `f`, in TIME_WAIT: our numbers begin beyond those that it used (RFC 9293 3.6.1, MAY-2). */
void handshake_again(struct tcp_engine *e, struct flow *f, const struct tcp_in *in, const struct segment *s);
void handshake_input(struct tcp_engine *e, struct flow *f, const struct segment *s);
/* The ACK of our SYN came. False if the flow is gone. */
bool handshake_complete(struct tcp_engine *e, struct flow *f, const struct segment *s);
void handshake_timeout(struct tcp_engine *e, struct flow *f);
/* May there be one more flow of this workstation, and one more that is connecting? */
bool handshake_within_quota(struct tcp_engine *e, uint32_t host);
void handshake_note_syn(struct tcp_engine *e, struct flow *f, const struct segment *s);
/* Send the first SYN or SYN-ACK, with the sequence number in snd_una. */
void handshake_send_syn(struct tcp_engine *e, struct flow *f);

/* active.c: tcp_open() to ESTABLISHED. */
void active_input(struct tcp_engine *e, struct flow *f, const struct tcp_in *in, const struct segment *s);
/* The flow is established: say so. */
void active_opened(struct tcp_engine *e, struct flow *f);
/* It will not be, for that reason (negative errno): say so, and end it. */
void active_failed(struct tcp_engine *e, struct flow *f, int status);
void active_timeout(struct tcp_engine *e, struct flow *f);
/* Does this SYN, in SYN_RECEIVED, answer ours that met it on the way? */
bool active_crossed(const struct flow *f, const struct segment *s);

/* input.c: a segment goes the long way. fast.c has tcp_input(). */
void input_segment(struct tcp_engine *e, const struct tcp_in *in);

/* receive.c: payload of the workstation, on its way upstream. */
void receive_data(struct tcp_engine *e, struct flow *f, const struct segment *s, uint16_t gso_size);
/* The same for payload that begins at rcv_nxt and lies in the window, while the upstream may take it. */
void receive_in_order(struct tcp_engine *e, struct flow *f, const uint8_t *payload, uint32_t len);
/* Write upstream what was gathered for this flow. Before any segment of the flow is sent. */
void receive_flush(struct tcp_engine *e, struct flow *f);
/* Write upstream what is held. */
void receive_deliver(struct tcp_engine *e, struct flow *f);
/* The window to advertise now; moves rcv_edge. Bytes. */
uint32_t receive_window(struct tcp_engine *e, struct flow *f);
/* Note that the upstream can take `room` bytes now. */
void receive_room(struct flow *f, size_t room);
/* The edge that could be advertised now. */
uint32_t receive_edge(const struct tcp_engine *e, const struct flow *f);
/* An ACK is owed if it would open the window by enough (RFC 9293 3.8.6.2.2). */
void receive_reopen(struct tcp_engine *e, struct flow *f);
void receive_discard(struct tcp_engine *e, struct flow *f);

/* reassembly.c: the list of received chunks. */
/* Keep payload [seq, seq + len); bytes already there stay. Returns the end of what is now present without a gap from
 * `seq` on: less than seq + len if memory ran out. */
uint32_t reassembly_insert(struct tcp_engine *e, struct flow *f, uint32_t seq, const uint8_t *data, uint32_t len);
/* The end of the contiguous run that starts the list at `seq`; `seq` itself if there is none. */
uint32_t reassembly_contiguous(const struct tcp_engine *e, const struct flow *f, uint32_t seq);
/* The first run of bytes in [seq, end) that is held already; empty if there is none. */
struct sack_block reassembly_overlap(const struct tcp_engine *e, const struct flow *f, uint32_t seq, uint32_t end);
/* Where the last byte of the list ends; there must be one. */
uint32_t reassembly_end(const struct tcp_engine *e, const struct flow *f);
/* Up to `max` pieces from the front, `bytes` in all at most. */
int reassembly_peek(const struct tcp_engine *e, const struct flow *f, uint32_t bytes, struct iovec *iov, int max);
void reassembly_consume(struct tcp_engine *e, struct flow *f, uint32_t bytes);
/* SACK blocks for what lies beyond `from`, those that arrived last first (RFC 2018 4), at most `max` (up to
 * SEGMENT_SACK_MAX). Returns their number. */
uint32_t reassembly_blocks(const struct tcp_engine *e, const struct flow *f, uint32_t from, struct sack_block *out,
                           uint32_t max);

/* ack.c: what an acknowledgment of the workstation means for what we sent. */
/* False if the segment is to be dropped. */
bool ack_input(struct tcp_engine *e, struct flow *f, const struct segment *s);

/* queue.c: the send queue. */
/* Read up to `want` bytes from upstream into the queue. Returns bytes, or negative errno: -EAGAIN nothing there, -ENOMEM
 * no chunk, or none of the kernel's, -EPIPE end of stream, others: reset. */
int32_t queue_fill(struct tcp_engine *e, struct flow *f, uint32_t want);
/* Bytes that this flow's queue may grow to, so that the flows of a workstation which came first do not keep the others
 * from any memory. */
uint32_t queue_max(struct tcp_engine *e, const struct flow *f);
void queue_drop(struct tcp_engine *e, struct flow *f, uint32_t bytes);

/* Most drops take a part of the first chunk only. */
static inline void queue_drop_part(struct tcp_engine *e, struct flow *f, uint32_t bytes)
{
    struct chunk *c = f->snd_head != 0 ? chunk_info(&e->chunks, f->snd_head) : NULL;
    if (c == NULL || bytes >= c->len) {
        queue_drop(e, f, bytes);
        return;
    }
    f->snd_queued -= bytes;
    c->off = (uint16_t)(c->off + bytes);
    c->len = (uint16_t)(c->len - bytes);
}

/* Point iov at payload [seq, seq + len). Returns the number of pieces, *got the bytes covered; *push is set if PSH belongs
 * to one of them. */
int queue_look(const struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len, struct iovec *iov, int max,
               uint32_t *got, bool *push);
/* PSH belongs to the byte before `end`, where the last queue_look() ended; it will when that is sent again, too. */
void queue_push(struct tcp_engine *e, const struct flow *f, uint32_t end);
/* When byte `seq` was sent first, us, or a little before: when its chunk's first byte was. */
uint32_t queue_sent_at(const struct tcp_engine *e, const struct flow *f, uint32_t seq);

/* send.c: data and FIN out. */
/* Send what may be sent. True if the turn's budget ended it. */
bool send_output(struct tcp_engine *e, struct flow *f);
void send_arm(struct tcp_engine *e, struct flow *f);
void send_timeout(struct tcp_engine *e, struct flow *f);
uint32_t send_pipe(const struct tcp_engine *e, const struct flow *f);

/* recovery.c: how a flow gets over a loss. */
/* After each valid ACK that told something: find what is lost, begin and end recovery, set its pace. `delivered` is how
 * many bytes it said have arrived. */
void recovery_acked(struct tcp_engine *e, struct flow *f, uint32_t delivered, bool advanced);
/* The timer for reordering struck. */
void recovery_timeout(struct tcp_engine *e, struct flow *f);
/* A timeout: everything in flight is lost. */
void recovery_all_lost(struct tcp_engine *e, struct flow *f);
/* Segments became smaller and what is in flight does not fit: send it again, which is no sign of congestion. */
void recovery_too_large(struct tcp_engine *e, struct flow *f);
/* snd_una moved on to `s->ack`, from `from`. */
void recovery_advanced(struct tcp_engine *e, struct flow *f, const struct segment *s, uint32_t from);
/* After each valid ACK while the answer to a probe that was a retransmission is awaited. `duplicate`: it said that both
 * copies arrived. */
void recovery_probe_answered(struct flow *f, bool duplicate);
/* Something left during recovery. */
void recovery_sent(struct tcp_engine *e, struct flow *f, uint32_t bytes);

/* rack.c: loss by time. */
/* [seq, seq + len) was sent again, just now. */
void rack_resent(struct tcp_engine *e, struct flow *f, uint32_t seq, uint32_t len);
/* Does a retransmission that was not answered reach to `right`? */
bool rack_is_resent(const struct board *b, uint32_t right);
/* An ACK came: take note of the times of what it reports. */
void rack_news(struct tcp_engine *e, struct flow *f);
/* Find out what is lost now: moves lost_edge, marks retransmissions, sets a timer if time may tell more. True if there is
 * more than before. */
bool rack_detect(struct tcp_engine *e, struct flow *f);
/* The first range that was sent again in vain. False if there is none. */
bool rack_lost_again(const struct tcp_engine *e, const struct flow *f, uint32_t *left, uint32_t *right);
/* Bytes in all such ranges. */
uint32_t rack_lost_bytes(const struct tcp_engine *e, const struct flow *f);
/* D-SACK: we sent again what had arrived. */
void rack_dsack(struct flow *f);
void rack_recovery_begins(struct flow *f);

/* scoreboard.c */
/* The flow's board, or NULL. */
struct board *board_of(const struct tcp_engine *e, const struct flow *f);
/* The same, taken if need be; NULL if there is none left. */
struct board *board_take(struct tcp_engine *e, struct flow *f);
/* Note the SACK blocks of a segment. True if one told something new. */
bool board_note(struct tcp_engine *e, struct flow *f, const struct segment *s);
/* Forget what lies below snd_una, and give the board back if nothing keeps it. */
void board_prune(struct tcp_engine *e, struct flow *f);
/* Forget the blocks only. */
void board_clear(struct tcp_engine *e, struct flow *f);
/* The right edge of the highest block; snd_una if there is none. */
uint32_t board_top(const struct tcp_engine *e, const struct flow *f);
/* Segments reported, about: full ones, and one for each rest. */
uint32_t board_segments(const struct tcp_engine *e, const struct flow *f);
/* Where the highest reported byte in [from, to) ends; `from` if there is none. */
uint32_t board_sacked_end(const struct tcp_engine *e, const struct flow *f, uint32_t from, uint32_t to);
void board_drop(struct tcp_engine *e, struct flow *f);
/* Bytes in [from, to) that SACK reported. */
uint32_t board_sacked(const struct tcp_engine *e, const struct flow *f, uint32_t from, uint32_t to);
/* The first hole at or after `from`: its start in *from, its end (at most `to`) returned. If there is none before `to`, both
 * are `to`. */
uint32_t board_hole(const struct tcp_engine *e, const struct flow *f, uint32_t *from, uint32_t to);

/* congestion.c: CUBIC (RFC 9438) */
void congestion_init(struct flow *f);
void congestion_acked(const struct tcp_engine *e, struct flow *f, uint32_t bytes, bool limited);
void congestion_loss(struct flow *f, uint32_t flight);
void congestion_timeout(struct flow *f, uint32_t flight);
/* New data goes out after a silence of so many whole RTOs. */
void congestion_idle(struct flow *f, uint32_t rtos);

/* rtt.c: RFC 6298 */
void rtt_sample(struct flow *f, uint32_t us);
/* A sample from the echo of one of our timestamps. False if it cannot be one. */
bool rtt_echo(const struct tcp_engine *e, struct flow *f, uint32_t tsecr);
uint32_t rtt_rto(const struct flow *f); /* ms, without backoff */

/* timer.c */
/* Set the flow's timer to the earliest thing it waits for. */
void timer_arm(struct tcp_engine *e, struct flow *f);
/* The same when all that is new is that the flow waits for `at`: mostly its timer strikes before. */
static inline void timer_arm_by(struct tcp_engine *e, struct flow *f, uint32_t at)
{
    if (f->timer.prev == 0 || seq_lt(at, f->timer.at))
        timer_arm(e, f);
}

void timer_run(struct tcp_engine *e, struct flow *f);

/* close.c: the ends of a flow. */
/* The workstation's FIN is in order now: take it, or let it wait for what upstream has not taken yet. */
void close_fin_received(struct tcp_engine *e, struct flow *f);
/* Upstream took the last of what was held for it: a FIN may have waited for that. */
void close_fin_waited(struct tcp_engine *e, struct flow *f);
/* Tell the upstream that the workstation has closed, if it has all that came before. */
void close_tell(struct tcp_engine *e, struct flow *f);
/* Our FIN was acknowledged. */
void close_fin_acked(struct tcp_engine *e, struct flow *f);
/* RST to the workstation, abort upstream, slot free. */
void close_reset(struct tcp_engine *e, struct flow *f);

static inline struct host_use *engine_host(struct tcp_engine *e, uint32_t host)
{
    return &e->hosts[e->accounts[host]];
}

#endif
