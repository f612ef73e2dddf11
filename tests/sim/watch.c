/* SPDX-License-Identifier: BSD-3-Clause */
#include "watch.h"

#include <sys/uio.h>

#include "content.h"
#include "peer.h"

#define RTO_MAX 60000000u /* us (RFC 6298 2.5) */
#define SLACK 20000u      /* us, for timers that count milliseconds */
#define ENGINE_SHIFT_MAX 14
#define AT_ONCE 1000u /* us, that no timer is as short as */

void watch_heard(struct watch *w)
{
    w->again.count = 0;
}

void watch_in(struct watch *w, const struct wire_header *h, uint32_t payload, uint64_t now)
{
    watch_heard(w);
    if (h->flags & WIRE_SYN) {
        if (w->syn_acked && h->seq == w->irs)
            return;
        w->mss = h->mss;
        w->peer_wscale = h->wscale >= 0;
        w->peer_shift = (uint8_t)(h->wscale < 0 ? 0 : h->wscale);
        w->ts = h->has_ts;
        w->sack = h->sack_permitted;
        if (!w->syn_acked)
            w->edge = 1 + h->window;
        return;
    }
    if (!w->syn_acked || (h->flags & WIRE_RST))
        return;
    int64_t seq = peer_offset(ranges_end(&w->arrived, 0), w->irs, h->seq);
    ranges_add(&w->arrived, seq, seq + payload + ((h->flags & WIRE_FIN) != 0));
    if (!(h->flags & WIRE_ACK))
        return;
    int64_t ack = peer_offset(w->acked, w->iss, h->ack);
    if (ack > w->top)
        return;
    if (ack >= w->acked)
        w->shut = h->window == 0;
    if (ack > w->acked) {
        w->acked = ack;
        w->sent_at = now; /* the timer starts anew (RFC 6298 5.3) */
        /* Without timestamps only what was never sent twice ends a backoff (RFC 6298 3, 5.5). */
        if (h->window != 0 && (w->ts || !w->ever_again))
            w->silences = 0;
    }
    int64_t edge = ack + ((int64_t)h->window << (w->engine_shift == UINT8_MAX ? 0 : w->peer_shift));
    if (edge > w->edge)
        w->edge = edge;
}

/* A SYN-ACK: the first of a connection begins the watch anew. */
static const char *syn_ack(struct watch *w, const struct wire_header *h)
{
    if ((h->flags & ~WIRE_ACK) != WIRE_SYN || !(h->flags & WIRE_ACK))
        return "a SYN with other flags than ACK";
    if (w->syn_acked && h->seq == w->iss && h->ack == w->irs + 1)
        return h->window < 65535 && 1 + (int64_t)h->window < w->offered ? "a SYN-ACK with a smaller window" : NULL;
    if (w->next.mtu - (w->next.v4 ? 40u : 60u) < h->mss || h->mss == 0)
        return "an MSS that the link does not carry";
    if (h->has_ts != w->ts || h->sack_permitted != w->sack || (h->wscale >= 0 && !w->peer_wscale))
        return "an option in the SYN-ACK that was not offered, or not one that was";
    int64_t edge = w->syn_acked ? 1 + 65535 : w->edge;
    w->limits = w->next;
    w->syn_acked = true;
    w->iss = h->seq;
    w->irs = h->ack - 1;
    ranges_clear(&w->arrived);
    ranges_add(&w->arrived, 0, 1);
    w->top = 1;
    w->acked = 0;
    w->acked_max = 1;
    w->edge = edge;
    w->offered = 1 + h->window;
    w->engine_shift = (uint8_t)(h->wscale >= 0 ? h->wscale : UINT8_MAX);
    w->fin = -1;
    w->tsval = h->tsval;
    w->silences = 0;
    w->ever_again = false;
    return NULL;
}

static const char *acknowledgment(struct watch *w, const struct wire_header *h)
{
    int64_t ack = peer_offset(w->acked_max, w->irs, h->ack);
    if (ack > ranges_end(&w->arrived, 0))
        return "acknowledges what it was not given";
    if (ack < w->acked_max)
        return "an acknowledgment that goes back";
    w->acked_max = ack;
    int64_t edge = ack + ((int64_t)h->window << (w->engine_shift == UINT8_MAX ? 0 : w->engine_shift));
    if (edge < w->offered)
        return "a window whose right edge moves left";
    w->offered = edge;
    for (uint32_t k = 0; k < h->sack_count; k++) {
        int64_t left = peer_offset(ack, w->irs, h->sack[k][0]);
        int64_t right = peer_offset(ack, w->irs, h->sack[k][1]);
        if (left >= right || ranges_sum(&w->arrived, left, right) != right - left)
            return "a SACK block for what it was not given";
        if (left <= ack && right > ack)
            return "a SACK block across the acknowledgment";
        if (left < ack && k > 0)
            return "a D-SACK block that is not the first";
    }
    if (h->sack_count > 0 && !w->sack)
        return "SACK blocks that were not agreed on";
    return NULL;
}

static const char *payload_size(const struct watch *w, const struct wire_header *h, uint32_t payload, uint16_t gso)
{
    uint32_t options = h->length - 20;
    uint32_t headers = (w->limits.v4 ? 40u : 60u) + options;
    uint32_t one = gso != 0 ? gso : payload;
    uint32_t mss = w->mss != 0 ? w->mss : w->limits.v4 ? 536 : 1220;
    if (gso != 0 && (w->limits.gso_max == 0 || payload <= gso || payload > w->limits.gso_max))
        return "a super-segment that the link cannot cut";
    if (one + headers > w->limits.mtu)
        return "a packet larger than the MTU";
    if (one > 1 && one + options > mss)
        return "a segment larger than the MSS";
    return NULL;
}

static const char *payload_place(struct watch *w, int64_t seq, const struct iovec *data, uint32_t pieces,
                                 uint32_t payload, bool fin)
{
    int64_t at = seq - 1;
    if (seq > w->top)
        return "a segment beyond what was sent before";
    if (seq + payload > w->edge && !(payload == 1 && seq <= w->edge))
        return "a segment beyond the workstation's window";
    if (at + payload > w->limits.down_total)
        return "more bytes than the upstream gave";
    for (uint32_t k = 0; k < pieces; k++) {
        if (!content_matches(data[k].iov_base, w->limits.down_phase, at, data[k].iov_len))
            return "bytes that the upstream did not give there";
        at += (int64_t)data[k].iov_len;
    }
    if (at != seq - 1 + payload)
        return "a payload that is not as long as it says";
    if (fin && w->fin >= 0 && w->fin != seq + payload)
        return "a second FIN at another place";
    if (fin && seq + payload != 1 + w->limits.down_total && !w->limits.cut_short)
        return "a FIN before the end of the stream";
    if (w->fin >= 0 && seq + payload > w->fin)
        return "data behind the FIN";
    if (fin)
        w->fin = seq + payload;
    return NULL;
}

/* How long may pass between two segments that ask for an acknowledgment, after `silences` timeouts without one. */
static uint64_t patience(const struct watch *w)
{
    uint64_t wait = w->limits.rto_bound << (w->silences < 10 ? w->silences : 10);
    return (wait < RTO_MAX ? wait : RTO_MAX) + SLACK;
}

const char *watch_silence(const struct watch *w, uint64_t now)
{
    if (!w->syn_acked || w->acked >= w->top || now - w->sent_at <= patience(w))
        return NULL;
    return "nothing was sent again for longer than the timeout, though something is not acknowledged";
}

/* Sending again goes no further than what was sent, and the same only if the workstation or a timer said more. */
static const char *sent_again(struct watch *w, int64_t seq, int64_t end, uint64_t now)
{
    if (seq >= w->top)
        return NULL;
    if (end > w->top)
        return "something old and something new in one segment";
    /* A timeout begins with the first there is. */
    if (seq <= w->acked || now - w->again_at > AT_ONCE)
        w->again.count = 0;
    if (ranges_sum(&w->again, seq, end) > 0)
        return "the same again, and nothing was heard in between";
    ranges_add(&w->again, seq, end);
    w->again_at = now;
    return NULL;
}

const char *watch_out(struct watch *w, const struct wire_header *h, const struct iovec *data, uint32_t pieces,
                      uint32_t payload, uint16_t gso, uint64_t now)
{
    const char *wrong = NULL;
    bool fin = (h->flags & WIRE_FIN) != 0;
    if (h->flags & WIRE_RST)
        return payload != 0 || fin || (h->flags & WIRE_SYN) ? "an RST that carries more" : NULL;
    if (h->flags & WIRE_SYN) {
        wrong = payload != 0 ? "a SYN-ACK with payload" : syn_ack(w, h);
        w->sent_at = now;
        return wrong;
    }
    if (!(h->flags & WIRE_ACK))
        return "a segment without ACK";
    if (!w->syn_acked)
        return "a segment before the SYN-ACK";
    if (h->mss != 0 || h->wscale >= 0 || h->sack_permitted)
        return "options of a SYN in another segment";
    if (h->has_ts != w->ts)
        return "timestamps that were not agreed on, or none though they were";
    if (h->has_ts && (int32_t)(h->tsval - w->tsval) < 0)
        return "a timestamp that goes back";
    w->tsval = h->tsval;
    wrong = acknowledgment(w, h);
    if (wrong != NULL || (payload == 0 && !fin))
        return wrong;
    int64_t seq = peer_offset(w->top, w->iss, h->seq);
    wrong = payload_size(w, h, payload, gso);
    if (wrong == NULL)
        wrong = payload_place(w, seq, data, pieces, payload, fin);
    if (wrong == NULL)
        wrong = watch_silence(w, now);
    if (wrong != NULL)
        return wrong;
    int64_t end = seq + payload + fin;
    wrong = sent_again(w, seq, end, now);
    if (wrong != NULL)
        return wrong;
    if (end <= w->top) {
        w->retransmits++;
        w->ever_again = true;
        if (seq <= w->acked)
            w->silences++;
    } else {
        if (payload == 1 && w->shut)
            w->silences++; /* a probe of a shut window */
        w->top = end;
    }
    w->sent_at = now;
    return NULL;
}

void watch_free(struct watch *w)
{
    ranges_clear(&w->arrived);
    ranges_clear(&w->again);
}
