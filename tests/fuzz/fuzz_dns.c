/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as DNS messages, several in a row, from two workstations, over UDP and TCP, as time passes and names fail.
 *
 * Held to: no access outside of its memory (the sanitizer's part); an answer is a message that a strict client can read,
 * with the query's ID, no larger than the client takes; silence only for what is no query; a virtual address that is
 * handed out leads back to a name, for the workstation that asked and for no other.
 */
#include <stdlib.h>

#include "../unit/dns_check.h"
#include "dns/answer.h"

#define HOLDS(what)                                                                                                \
    do {                                                                                                           \
        if (!(what))                                                                                               \
            abort();                                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text of `name` ("a.B.") compared with the text kept for the address ("a.b"). */
static bool same_name(const char *asked, const char *kept)
{
    for (; *kept != '\0'; asked++, kept++) {
        char c = *asked >= 'A' && *asked <= 'Z' ? (char)(*asked - 'A' + 'a') : *asked;
        if (c != *kept)
            return false;
    }
    return asked[0] == '.' && asked[1] == '\0';
}

static void check(struct dns *dns, struct bytes message, const struct dns_client *client, const uint8_t *out,
                  size_t len, uint64_t now, bool fails)
{
    struct seen seen;
    HOLDS(check_answer(out, len, &seen));
    HOLDS(seen.id == message.at[0] * 256 + message.at[1]);
    HOLDS(client->transport == DNS_TCP || len <= (seen.edns ? DNS_UDP_MAX : DNS_UDP_MIN));
    for (unsigned i = 0; i < seen.answers; i++) {
        const uint8_t *raw = out + seen.answer[i].data;
        if (seen.answer[i].type != DNS_TYPE_A && seen.answer[i].type != DNS_TYPE_AAAA)
            continue;
        struct ipaddr addr = seen.answer[i].len == 4 ? ipaddr_v4(raw) : ipaddr_v6(raw);
        if (!dns_is_virtual(dns, &addr))
            continue;
        char name[DNS_TEXT_SIZE];
        HOLDS(dns_pin(dns, 1 - client->host, &addr, name) == 0);
        uint32_t handle = dns_pin(dns, client->host, &addr, name);
        HOLDS(handle != 0);
        HOLDS(same_name(seen.name, name));
        if (fails)
            dns_name_tried(dns, handle, false, now);
        dns_unpin(dns, handle);
    }
}

/* The input is a sequence of: one byte of circumstances, one byte of length, a message of that length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(64) uint8_t memory[65536];
    struct dns_config config = {0};
    dns_config_defaults(&config);
    memset(config.secret, 7, sizeof(config.secret));
    config.slots = 64;
    config.max_hosts = 2;
    config.host_rate = 0;
    if (size > 0 && (data[0] & 0x80) != 0)
        config.virtual6 = (struct ipnet){{{0xfd, 0x77}}, 64};
    HOLDS(dns_size(&config) <= sizeof(memory));
    memset(memory, 0, sizeof(memory));
    struct dns *dns = dns_init(memory, &config);

    uint64_t now = 1000000;
    while (size >= 2) {
        uint8_t how = data[0];
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        /* Memory of its own, so that reading past the message is seen. */
        uint8_t *message = malloc(n + 1);
        HOLDS(message != NULL);
        memcpy(message, data + 2, n);
        data += 2 + n;
        size -= 2 + n;

        struct dns_client client = {.host = how & 1, .transport = (how & 2) != 0 ? DNS_TCP : DNS_UDP};
        dns_set_ready(dns, (how & 4) == 0);
        if ((how & 8) != 0)
            now += 61 * UINT64_C(1000000);
        if ((how & 0x60) == 0x60)
            dns_forget_host(dns, client.host);
        uint8_t out[DNS_UDP_MAX];
        struct bytes view = bytes_of(message, n);
        ssize_t len = dns_answer(dns, view, &client, out, sizeof(out), now);
        HOLDS(len >= 0 && (size_t)len <= sizeof(out));
        if (len > 0)
            check(dns, view, &client, out, (size_t)len, now, (how & 16) != 0);
        else
            HOLDS(n < DNS_HEADER_SIZE || (message[2] & 0x80) != 0);
        free(message);
    }
    HOLDS(dns_names(dns)->pinned == 0);
    return 0;
}
