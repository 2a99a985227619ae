#include "base/deflate.h"

#include <limits.h>

#include <zlib.h>

enum { PIECE = 16 * 1024, RAW = -15 }; /* the window's bits, negative: no header */

bool deflate_write(struct str s, struct buf *out)
{
    z_stream z = {.zalloc = Z_NULL};
    if (s.n > UINT_MAX ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong bound = deflateBound(&z, (uLong)s.n);
    char *room = buf_reserve(out, bound);
    bool is_good = room != NULL;
    if (is_good) {
        z.next_in = (z_const Bytef *)(uintptr_t)s.p;
        z.avail_in = (uInt)s.n;
        z.next_out = (Bytef *)room;
        z.avail_out = (uInt)bound;
        is_good = deflate(&z, Z_FINISH) == Z_STREAM_END;
        out->n += is_good ? z.total_out : 0;
    }
    (void)deflateEnd(&z);
    return is_good;
}

bool deflate_read(struct str s, struct buf *out)
{
    z_stream z = {.zalloc = Z_NULL};
    Bytef piece[PIECE];
    int status = Z_OK;
    if (s.n > UINT_MAX || inflateInit2(&z, RAW) != Z_OK)
        return false;
    z.next_in = (z_const Bytef *)(uintptr_t)s.p;
    z.avail_in = (uInt)s.n;
    while (status == Z_OK && buf_ok(out)) {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        status = inflate(&z, Z_NO_FLUSH);
        buf_add(out, (struct str){(const char *)piece, sizeof(piece) - z.avail_out});
    }
    bool is_whole = status == Z_STREAM_END && z.avail_in == 0;
    (void)inflateEnd(&z);
    return is_whole && buf_ok(out);
}
