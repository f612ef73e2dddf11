/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "dns/onion.h"

/* Addresses of the specification's examples and of well-known services. */
static const char *const good[] = {
    "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd",
    "sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd",
    "xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd",
    "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid",
    "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad",
};

static bool valid(const char *prefix, const char *address, const char *suffix)
{
    char text[300];
    int n = snprintf(text, sizeof(text), "%s%s%s", prefix, address, suffix);
    return dns_onion_is_valid(text, (size_t)n);
}

static void real_addresses_are_valid_also_with_labels_before_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(valid("", good[i], ".onion"));
        assert_true(valid("www.", good[i], ".onion"));
        assert_true(valid("a.b.c.", good[i], ".onion"));
    }
}

static void every_single_wrong_character_is_noticed(void **state)
{
    (void)state;
    /* 16 bits of checksum let one in 65536 through; of these 56 * 31 none is. */
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (size_t at = 0; at < 56; at++) {
        for (size_t c = 0; c < 32; c++) {
            char address[57];
            memcpy(address, good[0], 57);
            if (address[at] == alphabet[c])
                continue;
            address[at] = alphabet[c];
            assert_false(valid("", address, ".onion"));
        }
    }
}

static void characters_outside_base32_are_refused(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        if ((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'))
            continue;
        char address[57];
        memcpy(address, good[0], 57);
        address[20] = (char)c;
        assert_false(valid("", address, ".onion"));
    }
}

static void another_version_is_refused_although_its_checksum_is_right(void **state)
{
    (void)state;
    assert_false(valid("", "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4p2jxyc", ".onion"));
}

static void other_lengths_and_version_2_addresses_are_refused(void **state)
{
    (void)state;
    assert_false(valid("", "", "onion"));
    assert_false(valid("", "", ".onion"));
    assert_false(valid("", "expyuzz4wqqyqhjn", ".onion"));
    assert_false(valid("", good[0] + 1, ".onion"));
    assert_false(valid("a", good[0], ".onion")); /* 57 characters of which the last 56 are an address */
    assert_false(valid("", good[0], "onion"));
    assert_false(valid("", good[0], ".onion.net"));
    assert_false(valid("", good[0], ".www.onion"));
    assert_false(valid("", good[0], ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_addresses_are_valid_also_with_labels_before_them),
        cmocka_unit_test(every_single_wrong_character_is_noticed),
        cmocka_unit_test(characters_outside_base32_are_refused),
        cmocka_unit_test(another_version_is_refused_although_its_checksum_is_right),
        cmocka_unit_test(other_lengths_and_version_2_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
