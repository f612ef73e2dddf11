/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line with which Tor tells of a visitor's circuit: HiddenServiceExportCircuitID haproxy.
 *
 *     PROXY TCP6 fc00:dead:beef:4dad::12:3456 ::1 13398 80\r\n
 *
 * It has the form of version 1 of HAProxy's PROXY protocol, but the addresses are nobody's: the last 32 bits of the first
 * one are the circuit's number.
 */
#ifndef CLOISTER_SOCKS_PROXY_LINE_H
#define CLOISTER_SOCKS_PROXY_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROXY_LINE_MAX 107u /* bytes, as the protocol has it */

/* Look at the beginning of a stream. The length of the line, its end included, and the circuit's number in *circuit; 0 if the
 * line is not complete; -EPROTO if this is none that Tor writes. */
ssize_t proxy_line_parse(const uint8_t *at, size_t len, uint32_t *circuit);

#endif
