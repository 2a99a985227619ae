#include "base/qr.h"

#include <qrencode.h>

/* How far the dark modules of a line reach from x on. */
static int run_length(const unsigned char *line, int x, int width)
{
    int n = 0;
    while (x + n < width && (line[x + n] & 1))
        n++;
    return n;
}

bool qr_path(struct str text, struct buf *out, int *size)
{
    if (text.n == 0 || text.n > 1000)
        return false;
    QRcode *code = QRcode_encodeData((int)text.n, (const unsigned char *)text.p, 0, QR_ECLEVEL_M);
    if (!code)
        return false;
    for (int y = 0; y < code->width; y++) {
        const unsigned char *line = code->data + (size_t)y * (size_t)code->width;
        for (int x = 0; x < code->width; x++) {
            int n = run_length(line, x, code->width);
            if (n == 0)
                continue;
            buf_addf(out, "M%d %dh%dv1h-%dz", x + QR_MARGIN, y + QR_MARGIN, n, n);
            x += n;
        }
    }
    *size = code->width + 2 * QR_MARGIN;
    QRcode_free(code);
    return buf_ok(out);
}
