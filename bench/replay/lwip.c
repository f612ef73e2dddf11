/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lwIP, as a distribution ships it, at the same job. It gets and gives IP packets, without Ethernet, and all flows go to
 * its one address, for it takes no packet to another; both are less work than ours has. Every flow is accepted at once.
 */
#include <lwip/init.h>
#include <lwip/ip4.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <stdlib.h>
#include <string.h>

#include "replay/stack.h"

#define ETHERNET_AND_OFFLOAD 24u
#define TIMER_US 250000u
#define FIRST_PORT 2000u
#define PORTS 60000u

static struct stack_world *world;
static struct netif netif;
static uint64_t next_timer;

static err_t put_out(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    (void)n;
    (void)to;
    uint8_t *at = stack_out(world, p->tot_len);
    if (at == NULL)
        return ERR_MEM;
    pbuf_copy_partial(p, at, p->tot_len, 0);
    return ERR_OK;
}

static err_t setup_netif(struct netif *n)
{
    n->output = put_out;
    n->mtu = 1500;
    n->flags = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

/* Both sides have ended: the rest is the stack's own. */
static void let_go(struct tcp_pcb *pcb)
{
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_close(pcb);
}

/* What the server has to say, as far as the stack takes it. */
static void pump(struct player *p, struct tcp_pcb *pcb)
{
    bool end;
    uint32_t left = (uint32_t)player_readable(p, &end);
    bool some = left > 0;
    while (left > 0) {
        uint16_t n = tcp_sndbuf(pcb);
        n = left < n ? (uint16_t)left : n;
        if (n == 0 || tcp_write(pcb, p->script->down + p->read, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        p->read += n;
        left -= n;
    }
    if (some)
        tcp_output(pcb);
    if (end && left == 0 && p->handle != 0) {
        p->handle = 0;
        if (pcb->state == CLOSE_WAIT)
            let_go(pcb);
        else
            tcp_shutdown(pcb, 0, 1);
    }
}

static void gone(void *arg, err_t why)
{
    (void)why;
    struct player *p = arg;
    p->handle = 0;
}

static err_t received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t status)
{
    struct player *player = arg;
    (void)status;
    if (p == NULL) {
        /* The client closed; what the server still says goes out before the pcb is let go of. */
        if (player->handle == 0) {
            tcp_arg(pcb, NULL);
            tcp_recv(pcb, NULL);
            tcp_sent(pcb, NULL);
            tcp_err(pcb, NULL);
            tcp_close(pcb);
        }
        return ERR_OK;
    }
    for (struct pbuf *q = p; q != NULL; q = q->next) {
        uint32_t room;
        uint8_t *at = stack_up(world, player->number, q->len, &room);
        if (at == NULL || room < q->len)
            abort();
        memcpy(at, q->payload, q->len);
    }
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static err_t sent(void *arg, struct tcp_pcb *pcb, uint16_t len)
{
    (void)len;
    struct player *p = arg;
    if (p->handle != 0)
        pump(p, pcb);
    return ERR_OK;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t status)
{
    (void)arg;
    (void)status;
    uint32_t number =
        (lwip_ntohl(ip_2_ip4(&pcb->remote_ip)->addr) - world->link.client) * PORTS + pcb->remote_port - FIRST_PORT;
    if (number >= world->player_count)
        return ERR_ABRT;
    struct player *p = &world->players[number];
    p->handle = (uint64_t)(uintptr_t)pcb;
    tcp_arg(pcb, p);
    tcp_recv(pcb, received);
    tcp_sent(pcb, sent);
    tcp_err(pcb, gone);
    tcp_nagle_disable(pcb);
    return ERR_OK;
}

static void start(struct stack_world *w, uint32_t flows)
{
    (void)flows;
    ip4_addr_t address, mask, gateway;
    world = w;
    lwip_init();
    address.addr = lwip_htonl(w->link.server);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    gateway.addr = lwip_htonl(w->link.client);
    netif_add(&netif, &address, &mask, &gateway, NULL, setup_netif, ip4_input);
    netif_set_default(&netif);
    netif_set_up(&netif);
    struct tcp_pcb *listener = tcp_new();
    if (listener == NULL || tcp_bind(listener, IP4_ADDR_ANY, w->link.fixed_port) != ERR_OK)
        abort();
    listener = tcp_listen_with_backlog(listener, 255);
    tcp_accept(listener, accepted);
}

static void turn(struct stack_world *w, uint64_t now)
{
    if (now >= next_timer) {
        next_timer = now + TIMER_US;
        tcp_tmr();
    }
    for (uint32_t i = 0; i < w->in_count; i++) {
        uint16_t len = (uint16_t)(w->in[i].left - ETHERNET_AND_OFFLOAD);
        struct pbuf *p = pbuf_alloc(PBUF_RAW, len, PBUF_RAM);
        if (p == NULL)
            abort();
        pbuf_take(p, w->in[i].at + ETHERNET_AND_OFFLOAD, len);
        if (ip4_input(p, &netif) != ERR_OK)
            pbuf_free(p);
    }
    for (uint32_t i = 0; i < w->news_count; i++) {
        struct player *p = &w->players[w->news[i]];
        if (p->handle != 0)
            pump(p, (struct tcp_pcb *)(uintptr_t)p->handle);
    }
}

static bool deadline(uint64_t now, uint64_t *at)
{
    *at = next_timer > now ? next_timer : now;
    return tcp_active_pcbs != NULL || tcp_tw_pcbs != NULL;
}

static uint32_t flows_held(void)
{
    uint32_t n = 0;
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
        n++;
    for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb != NULL; pcb = pcb->next)
        n++;
    return n;
}

const struct stack stack = {
    .name = "lwip", .out_skip = 0, .start = start, .turn = turn, .deadline = deadline, .flows = flows_held};
