/* SPDX-License-Identifier: BSD-3-Clause */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void remove_span(struct ranges *r, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    memmove(r->at + from, r->at + to, (r->count - to) * sizeof(*r->at));
    r->count -= to - from;
}

static void insert_at(struct ranges *r, uint32_t k, struct range new_one)
{
    if (r->count == r->room) {
        r->room = r->room == 0 ? 8 : r->room * 2;
        r->at = realloc(r->at, r->room * sizeof(*r->at));
        if (r->at == NULL)
            abort();
    }
    memmove(r->at + k + 1, r->at + k, (r->count - k) * sizeof(*r->at));
    r->at[k] = new_one;
    r->count++;
}

bool ranges_add(struct ranges *r, int64_t left, int64_t right)
{
    uint32_t k = 0;
    if (left >= right)
        return false;
    while (k < r->count && r->at[k].right < left)
        k++;
    if (k < r->count && r->at[k].left <= left && r->at[k].right >= right)
        return false;
    uint32_t end = k;
    while (end < r->count && r->at[end].left <= right) {
        left = least(left, r->at[end].left);
        right = most(right, r->at[end].right);
        end++;
    }
    if (end == k) {
        insert_at(r, k, (struct range){left, right});
        return true;
    }
    r->at[k] = (struct range){left, right};
    remove_span(r, k + 1, end);
    return true;
}

void ranges_trim(struct ranges *r, int64_t edge)
{
    uint32_t gone = 0;
    while (gone < r->count && r->at[gone].right <= edge)
        gone++;
    remove_span(r, 0, gone);
    if (r->count > 0)
        r->at[0].left = most(r->at[0].left, edge);
}

int64_t ranges_end(const struct ranges *r, int64_t from)
{
    for (uint32_t k = 0; k < r->count && r->at[k].left <= from; k++)
        if (r->at[k].right > from)
            return r->at[k].right;
    return from;
}

int64_t ranges_next(const struct ranges *r, int64_t from)
{
    for (uint32_t k = 0; k < r->count; k++)
        if (r->at[k].left > from)
            return r->at[k].left;
    return INT64_MAX;
}

int64_t ranges_sum(const struct ranges *r, int64_t left, int64_t right)
{
    int64_t sum = 0;
    for (uint32_t k = 0; k < r->count; k++) {
        int64_t a = most(left, r->at[k].left);
        int64_t b = least(right, r->at[k].right);
        if (a < b)
            sum += b - a;
    }
    return sum;
}

void ranges_clear(struct ranges *r)
{
    free(r->at);
    *r = (struct ranges){0};
}
