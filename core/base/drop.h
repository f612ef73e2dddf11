/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every reason for which something of the workstation is not passed on, in one table.
 *
 * What is dropped is counted under exactly one of these, so that the counters add up: frames in = frames used
 * + drops. Each reason has a short name for logs and metrics and a sentence for people.
 */
#ifndef CLOISTER_BASE_DROP_H
#define CLOISTER_BASE_DROP_H

#include <stdint.h>

/* clang-format off */
#define DROP_REASONS(X)                                                                                        \
    X(FRAME_SHORT,       "frame-short",       "a frame too short for its Ethernet header")                     \
    X(FRAME_FOREIGN,     "frame-foreign",     "a frame that was not for the gateway's MAC address")            \
    X(FRAME_SOURCE,      "frame-source",      "a frame whose source MAC is a group address or our own")        \
    X(FRAME_TYPE,        "frame-type",        "an EtherType other than IPv4, IPv6 and ARP")                    \
    X(FRAME_OFFLOAD,     "frame-offload",     "an offload header that contradicts its frame")                  \
    X(IPV6_OFF,          "ipv6-off",          "an IPv6 packet while the gateway has no IPv6 address")          \
    X(ARP_BAD,           "arp-bad",           "a malformed ARP message")                                       \
    X(ARP_OTHER,         "arp-other",         "an ARP message that asks nothing of the gateway")               \
    X(NDP_BAD,           "ndp-bad",           "a malformed neighbour or listener discovery message")           \
    X(NDP_OTHER,         "ndp-other",         "a neighbour discovery message that asks nothing of the gateway")\
    X(IP_HEADER,         "ip-header",         "a bad IP version, length or header checksum")                   \
    X(IP_OPTIONS,        "ip-options",        "an IP option or extension header that is refused")              \
    X(IP_FRAGMENT,       "ip-fragment",       "an IP fragment")                                                \
    X(IP_SOURCE,         "ip-source",         "a source address outside the workstation network, or spoofed")  \
    X(IP_UNLISTED,       "ip-unlisted",       "a workstation that is not listed (workstation.stations = listed)")\
    X(IP_DESTINATION,    "ip-destination",    "a broadcast, multicast, loopback or unspecified destination")   \
    X(IP_PROTOCOL,       "ip-protocol",       "an IP protocol other than TCP, UDP and ICMP")                   \
    X(ICMP,              "icmp",              "an ICMP message that is not an echo request to the gateway")    \
    X(UDP,               "udp",               "a UDP datagram to a port other than 53")                        \
    X(UDP_BAD,           "udp-bad",           "a UDP datagram with a bad length or checksum")                  \
    X(DHCP_BAD,          "dhcp-bad",          "a malformed DHCP message")                                      \
    X(DHCP_OTHER,        "dhcp-other",        "a DHCP message that the gateway has no answer for")             \
    X(DNS_BAD,           "dns-bad",           "a datagram to port 53 that is not a DNS query")                 \
    X(DNS_QUOTA,         "dns-quota",         "a DNS query beyond its source's rate")                          \
    X(HOST_TABLE,        "host-table",        "the table of workstations is full")                             \
    X(TCP_BAD,           "tcp-bad",           "a TCP segment with a bad length, offset or port")               \
    X(TCP_CHECKSUM,      "tcp-checksum",      "a TCP segment with a bad checksum")                             \
    X(TCP_FLAGS,         "tcp-flags",         "a TCP segment whose flags make no sense where it arrived")      \
    X(TCP_WINDOW,        "tcp-window",        "a TCP segment outside the window or with an impossible ACK")    \
    X(TCP_PAWS,          "tcp-paws",          "a TCP segment with an old timestamp (RFC 7323 PAWS)")           \
    X(TCP_NO_FLOW,       "tcp-no-flow",       "a TCP segment of no flow, answered with a reset")               \
    X(TCP_STRAY_RST,     "tcp-stray-rst",     "a reset of no flow")                                            \
    X(TCP_SYN_REPEAT,    "tcp-syn-repeat",    "a repeated SYN of a flow that is still connecting")             \
    X(TCP_QUOTA,         "tcp-quota",         "a SYN beyond its source's quota of flows or connects")          \
    X(TCP_FULL,          "tcp-full",          "a SYN when the flow table was full")                            \
    X(TCP_MEMORY,        "tcp-memory",        "TCP payload for which there was no buffer")                     \
    X(TCP_REFUSED,       "tcp-refused",       "a SYN that policy refuses")                                     \
    X(CHALLENGE_LIMIT,   "challenge-limit",   "a challenge ACK beyond the rate limit (RFC 5961)")              \
    X(DESTINATION_REFUSED, "destination-refused", "a connect into a range that is refused, or what an exit found there") \
    X(DESTINATION_UNKNOWN, "destination-unknown", "a connect to a virtual address that has no name")           \
    X(TRANSPARENT_OFF,   "transparent-off",   "a connect of a workstation that has only the gateway's own ports") \
    X(SOCKS_BAD,         "socks-bad",         "a request to a SOCKS or HTTP tunnel port that is none, or for what is not to be had")\
    X(SOCKS_LATE,        "socks-late",        "a client of such a port that did not say in time what it wants")  \
    X(SOCKS_FULL,        "socks-full",        "a request to such a port when no more could wait for Tor")      \
    X(CONTROL_FILTERED,  "control-filtered",  "a command at the filtered control port that is not let through")                                                              \
    X(CONTROL_FULL,      "control-full",      "a session at that port, or a line, beyond its source's quota")                                                              \
    X(NOT_READY,         "not-ready",         "a connection before Tor was up")                                \
    X(ONION_LINE,        "onion-line",        "a visitor of an onion service who did not begin as Tor does")   \
    X(ONION_LIMIT,       "onion-limit",       "a visitor of an onion service beyond a limit")                  \
    X(ONION_ABSENT,      "onion-absent",      "a visitor of an onion service whose workstation is not there")  \
    X(ONION_REFUSED,     "onion-refused",     "a visitor of an onion service whose workstation refused")       \
    X(ONION_SILENT,      "onion-silent",      "a visitor of an onion service whose workstation said nothing")  \
    X(SEND,              "send",              "a frame that the workstation's link did not take")
/* clang-format on */

enum drop {
#define X(id, name, text) DROP_##id,
    DROP_REASONS(X)
#undef X
        DROP_COUNT,
    DROP_NONE = DROP_COUNT /* as a result: nothing was dropped */
};

/* How often each reason struck. One writer. */
struct drops {
    uint64_t by[DROP_COUNT];
};

static inline void drop_count(struct drops *d, enum drop why)
{
    d->by[why]++;
}

/* The short name ("udp") and the sentence of a reason. Static strings. */
const char *drop_name(enum drop why);
const char *drop_text(enum drop why);

#endif
