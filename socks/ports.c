/* SPDX-License-Identifier: BSD-3-Clause */
#include "socks/ports.h"

#include <stddef.h>
#include <strings.h>

#define EACH (ISOLATION_WORKSTATION | ISOLATION_PORT | ISOLATION_CREDENTIALS)
#define D ISOLATION_DESTINATION_NAME /* IsolateDestAddr; of a destination without a name it is the address */
#define TOR_BROWSER 9150u
#define P ISOLATION_DESTINATION_PORT /* IsolateDestPort */

/* The numbers and their flags as Whonix documents them for its gateway. */
static const struct {
    uint16_t first, last;
    uint8_t kind;
    uint8_t fields;
} whonix[] = {
    {9050, 9050, FRONT_SOCKS, EACH}, /* Tor's default */
    {9100, 9100, FRONT_SOCKS, EACH}, /* chat, by one identity */
    {9101, 9103, FRONT_SOCKS, EACH | D | P},
    {9104, 9104, FRONT_SOCKS, EACH}, /* package managers: too many servers for a circuit each */
    {9105, 9110, FRONT_SOCKS, EACH | D | P},
    {9111, 9113, FRONT_SOCKS, EACH},
    {9114, 9115, FRONT_SOCKS, EACH | D | P},
    {9116, 9116, FRONT_SOCKS, EACH},
    {9117, 9118, FRONT_SOCKS, EACH | D | P},
    {9119, 9119, FRONT_SOCKS, EACH},
    {9122, 9125, FRONT_SOCKS, EACH},
    {9150, 9150, FRONT_SOCKS, EACH},         /* Tor Browser: by credentials of its own */
    {9152, 9159, FRONT_SOCKS, EACH},         /* whatever one likes, */
    {9160, 9169, FRONT_SOCKS, EACH | D},     /* by destination, */
    {9170, 9179, FRONT_SOCKS, EACH | P},     /* by port, */
    {9180, 9189, FRONT_SOCKS, EACH | D | P}, /* by both; */
    {9190, 9199, FRONT_HTTP, EACH},          /* and the same by HTTP CONNECT */
    {9200, 9209, FRONT_HTTP, EACH | D},
    {9210, 9219, FRONT_HTTP, EACH | P},
    {9220, 9229, FRONT_HTTP, EACH | D | P},
};

bool socks_ports_find(const struct socks_ports *ports, uint16_t port, struct socks_port *out)
{
    for (uint32_t i = 0; i < ports->count; i++) {
        if (ports->port[i].port == port) {
            *out = ports->port[i];
            return true;
        }
    }
    for (size_t i = 0; ports->whonix && i < sizeof(whonix) / sizeof(whonix[0]); i++) {
        if (port >= whonix[i].first && port <= whonix[i].last) {
            *out = (struct socks_port){.port = port,
                                       .kind = whonix[i].kind,
                                       .fields = whonix[i].fields,
                                       .tor_browser = port == TOR_BROWSER};
            return true;
        }
    }
    return false;
}

const char *socks_port_parse_fields(const char *text, uint8_t *fields)
{
    int set = strcasecmp(text, "none") == 0 ? 0 : isolation_parse(text, NULL, NULL);
    if (set < 0)
        return "write none, or fields with commas between, as in destination-address, destination-port";
    if ((set & ISOLATION_DESTINATION_ADDRESS) != 0)
        set = (set & ~ISOLATION_DESTINATION_ADDRESS) | ISOLATION_DESTINATION_NAME;
    *fields = (uint8_t)(set | EACH);
    return NULL;
}
