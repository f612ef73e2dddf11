/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/siphash.h"

/* Key 00 01 .. 0f, message 00 01 .. (n - 1) modulo 256: the paper's appendix A and its published vectors for 2-4; the
 * others from another implementation (OpenSSL's MAC of that name, 1 and 3 rounds). */
static const struct {
    size_t n;
    uint64_t want24, want13;
} vectors[] = {
    {0, 0x726fdb47dd0e0e31, 0xabac0158050fc4dc},   {1, 0x74f839c593dc67fd, 0xc9f49bf37d57ca93},
    {2, 0x0d6c8009d9a94f5a, 0x82cb9b024dc7d44d},   {3, 0x85676696d7fb7e2d, 0x8bf80ab8e7ddf7fb},
    {4, 0xcf2794e0277187b7, 0xcf75576088d38328},   {5, 0x18765564cd99a68d, 0xdef9d52f49533b67},
    {6, 0xcbc9466e58fee3ce, 0xc50d2b50c59f22a7},   {7, 0xab0200f58b01d137, 0xd3927d989bb11140},
    {8, 0x93f5f5799a932462, 0x369095118d299a8e},   {9, 0x9e0082df0ba9e4b0, 0x25a48eb36c063de4},
    {10, 0x7a5dbbc594ddb9f3, 0x79de85ee92ff097f},  {11, 0xf4b32f46226bada7, 0x70c118c1f94dc352},
    {12, 0x751e8fbc860ee5fb, 0x78a384b157b4d9a2},  {13, 0x14ea5627c0843d90, 0x306f760c1229ffa7},
    {14, 0xf723ca908e7af2ee, 0x605aa111c0f95d34},  {15, 0xa129ca6149be45e5, 0xd320d86d2a519956},
    {63, 0x958a324ceb064572, 0x9d199062b7bbb3a8},  {64, 0xacd2c40b8502cad8, 0xf17997ec4b4a6065},
    {255, 0xa9c169fec74db21a, 0xf76214e3153c4a15}, {256, 0x999d0526d2a7bfd7, 0x75b3e64e167de370},
    {300, 0x4b0b710db6117839, 0x4016a23bda5a2224},
};

static uint8_t message[304];
static struct siphash_key key;

static int make_message(void **state)
{
    (void)state;
    uint8_t secret[16];
    for (unsigned i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)i;
    for (unsigned i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)i;
    key = siphash_key_load(secret);
    return 0;
}

static void siphash_2_4_gives_the_published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
        assert_true(siphash_24(&key, message, vectors[i].n) == vectors[i].want24);
}

static void siphash_1_3_gives_what_another_implementation_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
        assert_true(siphash_13(&key, message, vectors[i].n) == vectors[i].want13);
}

static void the_result_does_not_depend_on_alignment(void **state)
{
    (void)state;
    uint8_t moved[64 + 8];
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(moved + shift, message, 64);
        assert_true(siphash_24(&key, moved + shift, 64) == 0xacd2c40b8502cad8);
        assert_true(siphash_13(&key, moved + shift, 64) == 0xf17997ec4b4a6065);
    }
}

static void every_bit_of_the_key_matters(void **state)
{
    (void)state;
    uint64_t plain = siphash_24(&key, message, 12);
    for (unsigned bit = 0; bit < 128; bit++) {
        struct siphash_key other = key;
        if (bit < 64)
            other.k0 ^= UINT64_C(1) << bit;
        else
            other.k1 ^= UINT64_C(1) << (bit - 64);
        assert_true(siphash_24(&other, message, 12) != plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_2_4_gives_the_published_vectors),
        cmocka_unit_test(siphash_1_3_gives_what_another_implementation_gives),
        cmocka_unit_test(the_result_does_not_depend_on_alignment),
        cmocka_unit_test(every_bit_of_the_key_matters),
    };
    return cmocka_run_group_tests(tests, make_message, NULL);
}
