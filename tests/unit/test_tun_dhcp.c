/* SPDX-License-Identifier: BSD-3-Clause */
/* The DHCP server, by messages made by hand: what is answered, with what, where to, and what is not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "random.h"
#include "tun_rig.h"

#define SECOND UINT64_C(1000000)
#define LEASE 3600u
#define FIRST "10.152.152.100"
#define LAST "10.152.152.103"

static const uint8_t fixed_mac[6] = {2, 0, 0, 0, 7, 7};
static const struct dhcp_fixed fixed = {.mac = {2, 0, 0, 0, 7, 7}, .address = {10, 152, 152, 101}};

static struct tun_config config_with(const char *first, const char *last, bool with_fixed)
{
    struct tun_config config = rig_config();
    config.dhcp = true;
    config.dhcp_lease = LEASE;
    if (first != NULL) {
        config.dhcp_first = rig_addr(first);
        config.dhcp_last = rig_addr(last);
    }
    if (with_fixed) {
        config.dhcp_fixed = &fixed;
        config.dhcp_fixed_count = 1;
    }
    return config;
}

static int start(void **state)
{
    struct tun_config config = config_with(FIRST, LAST, false);
    *state = rig_start(&config);
    return 0;
}

static int stop(void **state)
{
    rig_stop(*state);
    return 0;
}

/* A client's message, and how it travels. */
struct ask {
    uint8_t type;
    const uint8_t *mac;
    const char *ciaddr, *requested, *server; /* or NULL */
    bool broadcast;                          /* asked for */
    const char *from;                        /* source address; NULL: 0.0.0.0, to everybody */
    const char *client_id;                   /* or NULL */
};

static size_t put(uint8_t *at, uint8_t option, const void *value, size_t n)
{
    at[0] = option;
    at[1] = (uint8_t)n;
    memcpy(at + 2, value, n);
    return n + 2;
}

static size_t put_address(uint8_t *at, uint8_t option, const char *text)
{
    struct ipaddr addr = rig_addr(text);
    return put(at, option, addr.b + 12, 4);
}

/* The message's bytes. */
static void message_of(struct wire *wire, const struct ask *ask)
{
    uint8_t *p = wire->b;
    memset(p, 0, 600);
    memcpy(p, "\x01\x01\x06\0\xde\xad\xbe\xef", 8);
    p[10] = ask->broadcast ? 0x80 : 0;
    if (ask->ciaddr != NULL) {
        struct ipaddr addr = rig_addr(ask->ciaddr);
        memcpy(p + 12, addr.b + 12, 4);
    }
    memcpy(p + 28, ask->mac, 6);
    memcpy(p + 236, "\x63\x82\x53\x63", 4);
    size_t n = 240;
    n += put(p + n, 53, &ask->type, 1);
    n += put(p + n, 12, "a-name-of-mine", 14);
    n += put(p + n, 60, "MSFT 5.0", 8);
    n += put(p + n, 55, "\x01\x03\x06\x0f", 4);
    if (ask->client_id != NULL)
        n += put(p + n, 61, ask->client_id, strlen(ask->client_id));
    if (ask->requested != NULL)
        n += put_address(p + n, 50, ask->requested);
    if (ask->server != NULL)
        n += put_address(p + n, 54, ask->server);
    p[n++] = 255;
    wire->n = n;
}

/* The frame around such bytes. */
static void frame_of(struct wire *wire, const struct wire *message, const struct ask *ask)
{
    static struct wire datagram;
    struct spec spec = rig_spec(17);
    spec.src = ask->from != NULL ? ask->from : "0.0.0.0";
    spec.dst = ask->from != NULL ? RIG_GATEWAY : "255.255.255.255";
    memcpy(spec.src_mac, ask->mac, 6);
    if (ask->from == NULL)
        memset(spec.dst_mac, 0xff, 6);
    be16_store(datagram.b, 68);
    be16_store(datagram.b + 2, 67);
    be16_store(datagram.b + 4, (uint16_t)(8 + message->n));
    be16_store(datagram.b + 6, 0);
    memcpy(datagram.b + 8, message->b, message->n);
    datagram.n = 8 + message->n;
    rig_frame(wire, &spec, &datagram);
}

static void send_ask(struct rig *rig, const struct ask *ask)
{
    static struct wire message, wire;
    message_of(&message, ask);
    frame_of(&wire, &message, ask);
    rig->sent_count = 0;
    rig_feed(rig, &wire);
}

static void expect_dropped(struct rig *rig, const struct ask *ask, enum drop why)
{
    uint64_t before = rig->tun.drops.by[why];
    send_ask(rig, ask);
    assert_int_equal(rig->sent_count, 0);
    assert_int_equal(rig->tun.drops.by[why], before + 1);
}

/* The value of an option of the reply that was sent, of `n` bytes; NULL if it is not there. */
static const uint8_t *option_of(const struct rig *rig, uint8_t option, size_t n)
{
    const uint8_t *p = rig->sent[0].b + 24 + 20 + 8 + 240, *end = rig->sent[0].b + rig->sent[0].n;
    while (p < end && *p != 255) {
        if (*p == option) {
            assert_int_equal(p[1], n);
            return p + 2;
        }
        p += *p == 0 ? 1 : 2u + p[1];
    }
    return NULL;
}

static void expect_option(const struct rig *rig, uint8_t option, const void *value, size_t n)
{
    const uint8_t *at = option_of(rig, option, n);
    assert_non_null(at);
    assert_memory_equal(at, value, n);
}

/* Insist on a reply of that type, and return the address that it gives. */
static struct ipaddr expect_reply(struct rig *rig, const struct ask *ask, uint8_t type)
{
    send_ask(rig, ask);
    assert_int_equal(rig->sent_count, 1);
    const uint8_t *p = rig->sent[0].b + 24;
    assert_int_equal(rig->sent[0].n, 24 + be16_load(p + 2));
    assert_true(rig->sent[0].n >= 24 + 28 + 300);
    assert_memory_equal(p + 12, rig_addr(RIG_GATEWAY).b + 12, 4);
    assert_memory_equal(p + 20, "\0\x43\0\x44", 4); /* from port 67 to 68 */
    uint32_t sum = ref_sum(0, p + 12, 8) + 17 + be16_load(p + 24);
    assert_int_equal(ref_fold(ref_sum(sum, p + 20, be16_load(p + 24))), 0xffff);
    const uint8_t *m = p + 28;
    assert_memory_equal(m, "\x02\x01\x06\0\xde\xad\xbe\xef", 8);
    assert_memory_equal(m + 28, ask->mac, 6);
    expect_option(rig, 53, &type, 1);
    expect_option(rig, 54, rig_addr(RIG_GATEWAY).b + 12, 4);
    return ipaddr_v4(m + 16);
}

static void expect_address(const struct ipaddr *got, const char *want)
{
    struct ipaddr addr = rig_addr(want);
    assert_memory_equal(got->b, addr.b, 16);
}

/* Where the reply went: "all", or an address of the client. */
static void expect_way(const struct rig *rig, const uint8_t *mac, const char *dst)
{
    assert_memory_equal(rig->sent[0].b + 10, mac, 6);
    assert_memory_equal(rig->sent[0].b + 24 + 16, rig_addr(dst).b + 12, 4);
}

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* The whole way to a lease; returns the address as text, good until four calls later. */
static const char *lease_to(struct rig *rig, const uint8_t *mac)
{
    static char text[4][16];
    static unsigned turn;
    char *out = text[turn++ % 4];
    struct ipaddr addr = expect_reply(rig, &(struct ask){.type = 1, .mac = mac}, 2);
    snprintf(out, 16, "%u.%u.%u.%u", addr.b[12], addr.b[13], addr.b[14], addr.b[15]);
    struct ask request = {.type = 3, .mac = mac, .requested = out, .server = RIG_GATEWAY};
    struct ipaddr got = expect_reply(rig, &request, 5);
    expect_address(&got, out);
    return out;
}

static const uint8_t *mac_of(unsigned n)
{
    static uint8_t mac[8][6];
    static unsigned turn;
    uint8_t *out = mac[turn++ % 8];
    memcpy(out, (const uint8_t[6]){2, 0, 0, 1, (uint8_t)(n >> 8), (uint8_t)n}, 6);
    return out;
}

static void a_client_is_offered_an_address_and_gets_it(void **state)
{
    struct rig *rig = *state;
    struct ipaddr offer = expect_reply(rig, &(struct ask){.type = 1, .mac = rig_station_mac}, 2);
    assert_in_range(be32_load(offer.b + 12), 0x0a989864, 0x0a989867);
    expect_option(rig, 51, "\0\0\x0e\x10", 4);
    expect_option(rig, 1, "\xff\xff\xc0\0", 4);
    expect_option(rig, 28, "\x0a\x98\xbf\xff", 4);
    expect_option(rig, 3, "\x0a\x98\x98\x0a", 4);
    expect_option(rig, 6, "\x0a\x98\x98\x0a", 4);
    expect_option(rig, 26, "\x05\xdc", 2);
    assert_int_equal(rig->tun.hosts.used, 0); /* an offer binds nothing */

    const char *addr = lease_to(rig, rig_station_mac);
    expect_address(&offer, addr);
    expect_option(rig, 51, "\0\0\x0e\x10", 4);
    struct ipaddr bound = rig_addr(addr);
    assert_true(hosts_is_bound(&rig->tun.hosts, &bound, rig_station_mac));
    assert_int_equal(rig->tun.counters.dhcp_replies, 3);
}

static void a_reply_goes_to_the_client_or_to_all_as_it_asked(void **state)
{
    struct rig *rig = *state;
    struct ask ask = {.type = 1, .mac = rig_station_mac};
    struct ipaddr offer = expect_reply(rig, &ask, 2);
    assert_memory_equal(rig->sent[0].b + 10, rig_station_mac, 6);
    assert_memory_equal(rig->sent[0].b + 24 + 16, offer.b + 12, 4);
    ask.broadcast = true;
    expect_reply(rig, &ask, 2);
    expect_way(rig, everybody, "255.255.255.255");

    const char *addr = lease_to(rig, rig_station_mac);
    struct ask renew = {.type = 3, .mac = rig_station_mac, .ciaddr = addr, .from = addr, .broadcast = true};
    expect_reply(rig, &renew, 5);
    expect_way(rig, rig_station_mac, addr);
    struct ask other = {.type = 3, .mac = rig_other_mac, .requested = addr};
    expect_reply(rig, &other, 6);
    expect_way(rig, everybody, "255.255.255.255");
}

static void a_refusal_says_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct ask ask = {.type = 3, .mac = rig_station_mac, .requested = "192.168.1.5", .client_id = "x-id"};
    struct ipaddr addr = expect_reply(rig, &ask, 6);
    expect_address(&addr, "0.0.0.0");
    static const uint8_t silent[] = {51, 1, 3, 6, 26, 28};
    for (size_t i = 0; i < sizeof(silent); i++)
        assert_null(option_of(rig, silent[i], 0));
    expect_option(rig, 61, "x-id", 4);
}

static void a_client_identifier_is_sent_back_and_names_are_not(void **state)
{
    struct rig *rig = *state;
    struct ask ask = {.type = 1, .mac = rig_station_mac, .client_id = "\x01\x02some-id"};
    expect_reply(rig, &ask, 2);
    expect_option(rig, 61, ask.client_id, strlen(ask.client_id));
    assert_null(option_of(rig, 12, 0));
    assert_null(option_of(rig, 60, 0));

    char longest[256];
    memset(longest, 'i', 255);
    longest[255] = '\0';
    ask.client_id = longest;
    expect_reply(rig, &ask, 2);
    expect_option(rig, 61, longest, 255);
    assert_true(rig->sent[0].n <= 24 + 576);
}

static void nothing_that_a_client_says_of_itself_is_kept(void **state)
{
    struct rig *rig = *state;
    struct ask ask = {.type = 1, .mac = rig_station_mac, .client_id = "an-id-of-mine"};
    expect_reply(rig, &ask, 2);
    lease_to(rig, rig_station_mac);
    static const char *const words[] = {"a-name-of-mine", "MSFT 5.0", "an-id-of-mine"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        assert_null(memmem(rig->tun.dhcp.lease, rig->tun.dhcp.count * sizeof(struct dhcp_lease), words[i], n));
        assert_null(memmem(&rig->tun, sizeof(rig->tun), words[i], n));
        assert_null(memmem(rig->tun.hosts.host, rig->tun.hosts.max_hosts * sizeof(struct host), words[i], n));
    }
}

static void a_client_finds_its_address_again(void **state)
{
    struct rig *rig = *state;
    const char *first = lease_to(rig, rig_station_mac);
    rig->now += 2 * LEASE * SECOND;
    assert_string_equal(lease_to(rig, rig_station_mac), first);

    /* After a restart it comes with the address it had, or with none. */
    struct tun_config config = config_with(FIRST, LAST, false);
    char had[16];
    strcpy(had, first);
    rig_stop(rig);
    *state = rig = rig_start(&config);
    assert_string_equal(lease_to(rig, rig_station_mac), had);
    struct ask reboot = {.type = 3, .mac = rig_other_mac, .requested = LAST};
    struct ipaddr got = expect_reply(rig, &reboot, strcmp(had, LAST) == 0 ? 6 : 5);
    (void)got;
}

static void an_address_that_is_asked_for_is_given_if_it_is_free(void **state)
{
    struct rig *rig = *state;
    struct ask ask = {.type = 1, .mac = rig_station_mac, .requested = LAST};
    struct ipaddr offer = expect_reply(rig, &ask, 2);
    expect_address(&offer, LAST);
    ask.mac = rig_other_mac;
    offer = expect_reply(rig, &ask, 2);
    assert_int_not_equal(be32_load(offer.b + 12), 0x0a989867);
    ask.mac = mac_of(1);
    ask.requested = "8.8.8.8";
    offer = expect_reply(rig, &ask, 2);
    assert_in_range(be32_load(offer.b + 12), 0x0a989864, 0x0a989867);
}

static void a_full_pool_gives_nothing_until_something_ends(void **state)
{
    struct rig *rig = *state;
    uint32_t seen = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct ipaddr addr = rig_addr(lease_to(rig, mac_of(i)));
        seen |= 1u << (addr.b[15] - 100);
    }
    assert_int_equal(seen, 0xf); /* all of them, each once */
    struct ask late = {.type = 1, .mac = mac_of(9)};
    expect_dropped(rig, &late, DROP_DHCP_OTHER);
    rig->now += LEASE * SECOND - 1;
    expect_dropped(rig, &late, DROP_DHCP_OTHER);
    rig->now += 1;
    /* The lease has ended; its owner is heard of no more. */
    rig->now += rig_config().host_idle;
    expect_reply(rig, &late, 2);
}

static void offers_that_nobody_takes_end_soon(void **state)
{
    struct rig *rig = *state;
    for (unsigned i = 0; i < 4; i++)
        expect_reply(rig, &(struct ask){.type = 1, .mac = mac_of(i)}, 2);
    struct ask late = {.type = 1, .mac = mac_of(9)};
    expect_dropped(rig, &late, DROP_DHCP_OTHER);
    rig->now += 30 * SECOND;
    expect_reply(rig, &late, 2);
}

static void an_offer_is_free_when_the_client_takes_anothers(void **state)
{
    struct rig *rig = *state;
    for (unsigned i = 0; i < 4; i++)
        expect_reply(rig, &(struct ask){.type = 1, .mac = mac_of(i)}, 2);
    struct ask elsewhere = {.type = 3, .mac = mac_of(2), .requested = "10.152.152.50", .server = "10.152.152.1"};
    expect_dropped(rig, &elsewhere, DROP_DHCP_OTHER);
    expect_reply(rig, &(struct ask){.type = 1, .mac = mac_of(9)}, 2);
}

static void a_lease_is_renewed_by_its_owner_only(void **state)
{
    struct rig *rig = *state;
    const char *addr = lease_to(rig, rig_station_mac);
    rig->now += LEASE * SECOND / 2;
    struct ask renew = {.type = 3, .mac = rig_station_mac, .ciaddr = addr, .from = addr};
    expect_reply(rig, &renew, 5);
    rig->now += LEASE * SECOND * 3 / 4; /* past the first end, not the second */
    struct ask thief = {.type = 3, .mac = rig_other_mac, .requested = addr};
    expect_reply(rig, &thief, 6);
    struct ask rebind = {.type = 3, .mac = rig_station_mac, .ciaddr = addr};
    expect_reply(rig, &rebind, 5);

    renew.mac = rig_other_mac; /* from an address that is not its own */
    expect_dropped(rig, &renew, DROP_IP_SOURCE);
}

static void a_leased_address_is_its_owners_however_long_it_is_silent(void **state)
{
    struct rig *rig = *state;
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    spec.src = lease_to(rig, rig_station_mac);
    memcpy(spec.src_mac, rig_other_mac, 6);
    rig_tcp(&segment, &spec, 0);
    rig_frame(&wire, &spec, &segment);
    rig->now += LEASE * SECOND - 1;
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    rig->now += 1 + rig_config().host_idle;
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->gone_count, 1);
}

static void an_address_that_somebody_uses_is_not_given_away(void **state)
{
    struct rig *rig = *state;
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    for (unsigned i = 0; i < 3; i++) {
        char addr[16];
        snprintf(addr, sizeof(addr), "10.152.152.%u", 100 + i);
        spec.src = addr;
        memcpy(spec.src_mac, mac_of(i), 6);
        rig_tcp(&segment, &spec, 0);
        rig_frame(&wire, &spec, &segment);
        rig_expect_use(rig, &wire);
    }
    struct ask ask = {.type = 1, .mac = rig_other_mac, .requested = FIRST};
    struct ipaddr offer = expect_reply(rig, &ask, 2);
    expect_address(&offer, LAST);
    ask.mac = rig_station_mac;
    expect_dropped(rig, &ask, DROP_DHCP_OTHER);
    rig->now += rig_config().host_idle - 1; /* it is still in use */
    expect_dropped(rig, &ask, DROP_DHCP_OTHER);
    struct ask request = {.type = 3, .mac = rig_station_mac, .requested = FIRST};
    expect_reply(rig, &request, 6);
    /* Its user may have it leased. */
    request.mac = mac_of(0);
    expect_reply(rig, &request, 5);
}

static void what_is_released_is_free_at_once_and_its_flows_are_reset(void **state)
{
    struct rig *rig = *state;
    const char *addr = lease_to(rig, rig_station_mac);
    struct ask wrong = {.type = 7, .mac = rig_other_mac, .ciaddr = addr, .server = RIG_GATEWAY};
    expect_dropped(rig, &wrong, DROP_DHCP_OTHER);
    struct ask release = {.type = 7, .mac = rig_station_mac, .ciaddr = addr, .server = RIG_GATEWAY, .from = addr};
    send_ask(rig, &release);
    assert_int_equal(rig->sent_count, 0);
    assert_int_equal(rig->reset_count, 1);
    assert_int_equal(rig->tun.hosts.used, 0);
    struct ask other = {.type = 3, .mac = rig_other_mac, .requested = addr};
    expect_reply(rig, &other, 5);
}

/* One lease for one client: or it would keep an address from others for as long as each lease that it ever asked for. */
static void who_takes_another_address_gives_up_the_first(void **state)
{
    struct rig *rig = *state;
    const char *addr = lease_to(rig, rig_station_mac);
    const char *another = strcmp(addr, "10.152.152.103") == 0 ? "10.152.152.102" : "10.152.152.103";
    struct ask request = {.type = 3, .mac = rig_station_mac, .requested = another};
    expect_reply(rig, &request, 5);
    request = (struct ask){.type = 3, .mac = rig_other_mac, .requested = addr};
    expect_reply(rig, &request, 5);
    request.requested = another;
    expect_reply(rig, &request, 6);
}

static void what_is_declined_is_given_to_nobody_for_a_while(void **state)
{
    struct rig *rig = *state;
    const char *addr = lease_to(rig, rig_station_mac);
    struct ask decline = {.type = 4, .mac = rig_other_mac, .requested = addr, .server = RIG_GATEWAY};
    expect_dropped(rig, &decline, DROP_DHCP_OTHER); /* not its own */
    decline.mac = rig_station_mac;
    send_ask(rig, &decline);
    assert_int_equal(rig->sent_count, 0);
    struct ask request = {.type = 3, .mac = rig_station_mac, .requested = addr};
    expect_reply(rig, &request, 6);
    rig->now += 599 * SECOND;
    expect_reply(rig, &request, 6);
    rig->now += SECOND;
    expect_reply(rig, &request, 5);
}

static void who_has_an_address_is_told_the_rest(void **state)
{
    struct rig *rig = *state;
    struct ask inform = {.type = 8, .mac = rig_station_mac, .ciaddr = RIG_STATION, .from = RIG_STATION};
    struct ipaddr addr = expect_reply(rig, &inform, 5);
    expect_address(&addr, "0.0.0.0");
    assert_null(option_of(rig, 51, 0));
    expect_option(rig, 6, "\x0a\x98\x98\x0a", 4);
    expect_way(rig, rig_station_mac, RIG_STATION);
    struct ask forged = {.type = 8, .mac = rig_other_mac, .ciaddr = RIG_STATION};
    expect_dropped(rig, &forged, DROP_DHCP_OTHER);
}

static void a_fixed_address_is_for_one_client(void **state)
{
    struct tun_config config = config_with(FIRST, LAST, true);
    (void)state;
    struct rig *rig = rig_start(&config);
    for (unsigned i = 0; i < 3; i++)
        assert_string_not_equal(lease_to(rig, mac_of(i)), "10.152.152.101");
    struct ask ask = {.type = 1, .mac = mac_of(9)};
    expect_dropped(rig, &ask, DROP_DHCP_OTHER);
    struct ask request = {.type = 3, .mac = mac_of(9), .requested = "10.152.152.101"};
    expect_reply(rig, &request, 6);

    assert_string_equal(lease_to(rig, fixed_mac), "10.152.152.101");
    request = (struct ask){.type = 3, .mac = fixed_mac, .requested = FIRST};
    expect_reply(rig, &request, 6);

    /* Nobody else may use it, lease or not. */
    struct wire wire, segment;
    struct spec spec = rig_spec(6);
    spec.src = "10.152.152.101";
    rig_tcp(&segment, &spec, 0);
    rig_frame(&wire, &spec, &segment);
    rig->now += 1000000 * SECOND;
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
    rig_stop(rig);
}

static void fixed_addresses_are_enough(void **state)
{
    struct tun_config config = config_with(NULL, NULL, true);
    (void)state;
    struct rig *rig = rig_start(&config);
    assert_string_equal(lease_to(rig, fixed_mac), "10.152.152.101");
    struct ask ask = {.type = 1, .mac = rig_station_mac};
    expect_dropped(rig, &ask, DROP_DHCP_OTHER);
    rig_stop(rig);
}

static void a_message_for_another_mac_is_forged(void **state)
{
    struct rig *rig = *state;
    static struct wire message, wire;
    struct ask ask = {.type = 1, .mac = rig_station_mac};
    message_of(&message, &ask);
    memcpy(message.b + 28, rig_other_mac, 6);
    frame_of(&wire, &message, &ask);
    rig_expect_drop(rig, &wire, DROP_IP_SOURCE);
}

static void malformed_messages_are_bad(void **state)
{
    struct rig *rig = *state;
    static struct wire message, wire;
    struct ask ask = {.type = 1, .mac = rig_station_mac};
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 2}, {1, 6}, {2, 16}, {24, 10}, {236, 0}, {239, 0}, {241, 0}, {241, 2}, {240, 99}, {241, 200}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        message_of(&message, &ask);
        message.b[wrong[i].at] = wrong[i].value;
        frame_of(&wire, &message, &ask);
        rig_expect_drop(rig, &wire, DROP_DHCP_BAD);
    }
    message_of(&message, &ask);
    for (size_t n = 0; n < 243; n++) {
        message.n = n;
        frame_of(&wire, &message, &ask);
        rig_expect_drop(rig, &wire, DROP_DHCP_BAD);
    }
    message_of(&message, &ask);
    memcpy(message.b + message.n - 1, "\x32\x03\1\2\3\xff", 6); /* an address of three bytes */
    message.n += 5;
    frame_of(&wire, &message, &ask);
    rig_expect_drop(rig, &wire, DROP_DHCP_BAD);
    struct ask nothing = {.type = 3, .mac = rig_station_mac};
    expect_dropped(rig, &nothing, DROP_DHCP_BAD);
    for (unsigned type = 0; type < 256; type++) {
        struct ask odd = {.type = (uint8_t)type, .mac = rig_station_mac};
        if (type == 0 || type == 3)
            expect_dropped(rig, &odd, DROP_DHCP_BAD);
        else if (type != 1)
            expect_dropped(rig, &odd, DROP_DHCP_OTHER);
    }
}

static void options_may_stand_in_the_other_fields(void **state)
{
    struct rig *rig = *state;
    static struct wire message, wire;
    struct ask ask = {.type = 99, .mac = rig_station_mac};
    message_of(&message, &ask);
    memcpy(message.b + 240, "\x34\x01\x03\xff", 4); /* overload: both */
    memcpy(message.b + 108, "\x35\x01\x01\xff", 4);
    memcpy(message.b + 44, "\x32\x04\x0a\x98\x98\x67\xff", 7);
    message.n = 244;
    frame_of(&wire, &message, &ask);
    rig_expect_use(rig, &wire);
    assert_int_equal(rig->sent_count, 1);
    assert_memory_equal(rig->sent[0].b + 24 + 28 + 16, "\x0a\x98\x98\x67", 4);
    memset(message.b + 108, 0x35, 128); /* runs past the field */
    frame_of(&wire, &message, &ask);
    rig_expect_drop(rig, &wire, DROP_DHCP_BAD);
}

static void other_broadcasts_are_for_nobody(void **state)
{
    struct rig *rig = *state;
    struct wire wire, datagram;
    struct spec spec = rig_spec(17);
    memset(spec.dst_mac, 0xff, 6);
    spec.dst = "255.255.255.255";
    rig_udp(&datagram, &spec, 137, 10);
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(rig, &wire, DROP_FRAME_FOREIGN);
    spec.dst = "10.152.191.255";
    rig_udp(&datagram, &spec, 67, 250);
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(rig, &wire, DROP_FRAME_FOREIGN);
    spec.dst = RIG_GATEWAY;
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(rig, &wire, DROP_FRAME_FOREIGN);
    spec = rig_spec(6);
    memset(spec.dst_mac, 0xff, 6);
    spec.dst = "255.255.255.255";
    rig_tcp(&datagram, &spec, 0);
    rig_frame(&wire, &spec, &datagram);
    rig_expect_drop(rig, &wire, DROP_FRAME_FOREIGN);
    assert_int_equal(rig->tun.hosts.used, 0);
    assert_int_equal(rig->udp_count, 0);
}

static void there_is_no_server_unless_there_is_to_be_one(void **state)
{
    const struct tun_config config = rig_config();
    (void)state;
    struct rig *rig = rig_start(&config);
    rig->udp_result = DROP_UDP;
    struct ask ask = {.type = 1, .mac = rig_station_mac};
    expect_dropped(rig, &ask, DROP_FRAME_FOREIGN);
    ask.from = ask.ciaddr = RIG_STATION;
    expect_dropped(rig, &ask, DROP_UDP);
    rig_stop(rig);
}

static void many_clients_in_a_random_history_never_share_an_address(void **state)
{
    struct tun_config config = config_with("10.152.152.100", "10.152.152.131", true);
    struct random random = random_start();
    uint32_t owner[32] = {0}; /* client + 1 */
    uint64_t until[32] = {0};
    char text[16];
    (void)state;
    config.max_hosts = 64;
    struct rig *rig = rig_start(&config);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned client = (unsigned)(random_u64(&random) % 48), slot = (unsigned)(random_u64(&random) % 32);
        struct ask ask = {.type = random_u64(&random) % 3 != 0 ? 3 : 1, .mac = mac_of(client)};
        snprintf(text, sizeof(text), "10.152.152.%u", 100 + slot);
        if (random_u64(&random) % 8 != 0)
            ask.requested = text;
        if (random_u64(&random) % 16 == 0)
            ask = (struct ask){.type = 7, .mac = ask.mac, .ciaddr = text, .server = RIG_GATEWAY};
        rig->now += random_u64(&random) % (200 * SECOND);
        send_ask(rig, &ask);
        if (ask.type == 7 && owner[slot] == client + 1)
            until[slot] = 0;
        if (rig->sent_count == 0)
            continue;
        assert_int_equal(rig->sent_count, 1);
        const uint8_t *m = rig->sent[0].b + 24 + 28;
        const uint8_t *type = option_of(rig, 53, 1);
        assert_non_null(type);
        if (*type == 6)
            continue;
        unsigned given = m[19] - 100u;
        assert_in_range(given, 0, 31);
        assert_int_not_equal(given, 1); /* fixed */
        assert_true(owner[given] == client + 1 || rig->now >= until[given]);
        if (*type == 5) {
            for (unsigned k = 0; k < 32; k++) {
                if (owner[k] == client + 1)
                    until[k] = 0; /* one at a time */
            }
            owner[given] = client + 1;
            until[given] = rig->now + LEASE * SECOND;
        }
    }
    rig_stop(rig);
}

static void senseless_pools_are_refused(void **state)
{
    static struct tun tun;
    static const struct tun_ops ops = {0};
    struct tun_config config = config_with(LAST, FIRST, false);
    (void)state;
    assert_int_equal(tun_init(&tun, &config, &ops, NULL, NULL), -EINVAL);
    config = config_with("10.152.130.0", "10.152.146.0", false);
    assert_int_equal(tun_init(&tun, &config, &ops, NULL, NULL), -EINVAL);
    config = config_with(NULL, NULL, false);
    assert_int_equal(tun_init(&tun, &config, &ops, NULL, NULL), -EINVAL);
    const struct dhcp_fixed outside = {.mac = {2}, .address = {10, 1, 1, 1}};
    config = config_with(NULL, NULL, true);
    config.dhcp_fixed = &outside;
    assert_int_equal(tun_init(&tun, &config, &ops, NULL, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_is_offered_an_address_and_gets_it, start, stop),
        cmocka_unit_test_setup_teardown(a_reply_goes_to_the_client_or_to_all_as_it_asked, start, stop),
        cmocka_unit_test_setup_teardown(a_refusal_says_nothing_else, start, stop),
        cmocka_unit_test_setup_teardown(a_client_identifier_is_sent_back_and_names_are_not, start, stop),
        cmocka_unit_test_setup_teardown(nothing_that_a_client_says_of_itself_is_kept, start, stop),
        cmocka_unit_test_setup_teardown(a_client_finds_its_address_again, start, stop),
        cmocka_unit_test_setup_teardown(an_address_that_is_asked_for_is_given_if_it_is_free, start, stop),
        cmocka_unit_test_setup_teardown(a_full_pool_gives_nothing_until_something_ends, start, stop),
        cmocka_unit_test_setup_teardown(offers_that_nobody_takes_end_soon, start, stop),
        cmocka_unit_test_setup_teardown(an_offer_is_free_when_the_client_takes_anothers, start, stop),
        cmocka_unit_test_setup_teardown(a_lease_is_renewed_by_its_owner_only, start, stop),
        cmocka_unit_test_setup_teardown(a_leased_address_is_its_owners_however_long_it_is_silent, start, stop),
        cmocka_unit_test_setup_teardown(an_address_that_somebody_uses_is_not_given_away, start, stop),
        cmocka_unit_test_setup_teardown(what_is_released_is_free_at_once_and_its_flows_are_reset, start, stop),
        cmocka_unit_test_setup_teardown(who_takes_another_address_gives_up_the_first, start, stop),
        cmocka_unit_test_setup_teardown(what_is_declined_is_given_to_nobody_for_a_while, start, stop),
        cmocka_unit_test_setup_teardown(who_has_an_address_is_told_the_rest, start, stop),
        cmocka_unit_test(a_fixed_address_is_for_one_client),
        cmocka_unit_test(fixed_addresses_are_enough),
        cmocka_unit_test_setup_teardown(a_message_for_another_mac_is_forged, start, stop),
        cmocka_unit_test_setup_teardown(malformed_messages_are_bad, start, stop),
        cmocka_unit_test_setup_teardown(options_may_stand_in_the_other_fields, start, stop),
        cmocka_unit_test_setup_teardown(other_broadcasts_are_for_nobody, start, stop),
        cmocka_unit_test(there_is_no_server_unless_there_is_to_be_one),
        cmocka_unit_test(many_clients_in_a_random_history_never_share_an_address),
        cmocka_unit_test(senseless_pools_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
