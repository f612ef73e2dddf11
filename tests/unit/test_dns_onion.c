/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "dns/onion.h"
#include "dns/sha3.h"

/* Message: 0, 1, .. 250, 0, 1 ..; the lengths stand around the ends of blocks of 136 bytes. */
static const struct {
    size_t n;
    const char *want;
} vectors[] = {
    {0, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"}, /* FIPS 202's own */
    {135, "fded8fd9d6551c601eeb3b7c6bc5e5cfd8aad1d015b7e9aaa9c9b9475231d5e2"},
    {136, "cf3ccff92480a29160c2d38317c430e14749bfee1788106957dfe73f8c4930e5"},
    {137, "ce9d7dc90913ee5d92745019479a5352c6d6279bef18ed07dc0a83ee8084daca"},
    {271, "0153fcdb6825d836b10835ccb3999dc1d8b68492f77e7e38afa31f8e244bd7af"},
    {272, "b7ccd55b6c2c3fa144c9e0624059294975a348b02f321abe289701d3012f7794"},
    {273, "4827800416bd25b01f53360454943ef688112eaee40422929a59af596a2c0be7"},
    {1000, "48e66a01861d0eadaacdb7a6ae7db6b9ac79242ecced4154a9fbb33c4e3cc571"},
};

static void assert_digest(const void *data, size_t n, const char *want)
{
    uint8_t digest[SHA3_256_SIZE];
    char text[2 * SHA3_256_SIZE + 1];
    sha3_256(data, n, digest);
    for (size_t i = 0; i < SHA3_256_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, want);
}

static void sha3_256_gives_what_another_implementation_gives(void **state)
{
    (void)state;
    uint8_t message[1000];
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
        assert_digest(message, vectors[i].n, vectors[i].want);
    assert_digest("abc", 3, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
}

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
        cmocka_unit_test(sha3_256_gives_what_another_implementation_gives),
        cmocka_unit_test(real_addresses_are_valid_also_with_labels_before_them),
        cmocka_unit_test(every_single_wrong_character_is_noticed),
        cmocka_unit_test(characters_outside_base32_are_refused),
        cmocka_unit_test(another_version_is_refused_although_its_checksum_is_right),
        cmocka_unit_test(other_lengths_and_version_2_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
