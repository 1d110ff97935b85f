/* SPDX-License-Identifier: GPL-2.0-or-later
 * Small kernels of four NPB kinds. Each repeats the same computation and compares its result with the first
 * round's, so that a wrong byte after a restore is noticed. Sizes are chosen for rounds of a few seconds in an
 * emulated machine.
 */
#include <math.h>
#include <string.h>

#include "workloads.h"

/* Embarrassingly parallel: pairs of random numbers, those in the unit circle made Gaussian and counted. */
static void ep(int index, int threads)
{
    int pairs = (1 << 23) / threads;
    double first[3] = {0};

    for (int round = 0;; round++) {
        uint64_t seed = 271828183u + index;
        double sum[3] = {0};

        begin_round();
        for (int pair = 0; pair < pairs; pair++) {
            double x = (double)(next_random(&seed) >> 11) * 0x1p-52 - 1;
            double y = (double)(next_random(&seed) >> 11) * 0x1p-52 - 1;
            double t = x * x + y * y;
            if (t <= 1 && t > 0) {
                t = sqrt(-2 * log(t) / t);
                sum[0] += x * t;
                sum[1] += y * t;
                sum[2]++;
            }
            if (pair % 256 == 0)
                work(1);
        }
        if (round == 0)
            memcpy(first, sum, sizeof sum);
        verify(!memcmp(first, sum, sizeof sum), "ep");
    }
}

/* Multigrid: a V-cycle for the Poisson equation on a periodic cube of n^3 points. */
struct level {
    int n;
    double *u, *f, *r;
};

static double *row(const struct level *l, double *array, int y, int z)
{
    int n = l->n;

    return array + ((size_t)((z + n) % n) * n + (y + n) % n) * n;
}

static double residual(struct level *l)
{
    double norm = 0;
    int n = l->n;

    for (int z = 0; z < n; z++) {
        for (int y = 0; y < n; y++) {
            const double *u = row(l, l->u, y, z), *up = row(l, l->u, y + 1, z), *down = row(l, l->u, y - 1, z);
            const double *front = row(l, l->u, y, z - 1), *back = row(l, l->u, y, z + 1), *f = row(l, l->f, y, z);
            double *r = row(l, l->r, y, z);
            for (int x = 0; x < n; x++) {
                double left = u[x ? x - 1 : n - 1], right = u[x < n - 1 ? x + 1 : 0];
                r[x] = f[x] - (left + right + up[x] + down[x] + front[x] + back[x] - 6 * u[x]);
                norm += r[x] * r[x];
            }
        }
        work(n * n / 256 + 1);
    }
    return norm;
}

/* The right side of the next coarser level: means of eight points. */
static void restrict_to(struct level *c, const struct level *l, double *from)
{
    for (int z = 0; z < c->n; z++) {
        for (int y = 0; y < c->n; y++) {
            double *f = row(c, c->f, y, z);
            const double *a = row(l, from, 2 * y, 2 * z), *b = row(l, from, 2 * y + 1, 2 * z);
            const double *d = row(l, from, 2 * y, 2 * z + 1), *e = row(l, from, 2 * y + 1, 2 * z + 1);
            for (int x = 0; x < c->n; x++, a += 2, b += 2, d += 2, e += 2)
                f[x] = (a[0] + a[1] + b[0] + b[1] + d[0] + d[1] + e[0] + e[1]) / 2;
        }
        work(c->n * c->n / 128 + 1);
    }
}

static void add_from(const struct level *c, struct level *l)
{
    for (int z = 0; z < l->n; z++) {
        for (int y = 0; y < l->n; y++) {
            double *u = row(l, l->u, y, z);
            const double *coarse = row(c, c->u, y / 2, z / 2);
            for (int x = 0; x < l->n; x++)
                u[x] += coarse[x / 2];
        }
        work(l->n * l->n / 512 + 1);
    }
}

static void smooth(struct level *l)
{
    size_t plane = (size_t)l->n * l->n;

    residual(l);
    for (int z = 0; z < l->n; z++) {
        for (size_t i = z * plane; i < (z + 1) * plane; i++)
            l->u[i] -= l->r[i] * (1.0 / 7);
        work((unsigned)(plane / 512) + 1);
    }
}

static void cycle(struct level *l, int left)
{
    memset(l->u, 0, sizeof(double) * l->n * l->n * l->n);
    if (left > 1) {
        restrict_to(l + 1, l, l->f);
        cycle(l + 1, left - 1);
        add_from(l + 1, l);
    }
    smooth(l);
}

static void mg(int index, int threads)
{
    enum { levels = 4 };
    struct level l[levels];
    int n = (int)(256 / cbrt(threads)) / 8 * 8;
    uint64_t seed = 314159265u + index;
    double first = 0;

    for (int i = 0, size = n; i < levels; i++, size /= 2) {
        size_t bytes = sizeof(double) * size * size * size;
        l[i] = (struct level){size, need(bytes), need(bytes), need(bytes)};
    }
    for (size_t i = 0; i < (size_t)n * n * n; i++)
        l[0].f[i] = (double)(next_random(&seed) % 2048) - 1023.5;
    for (int round = 0;; round++) {
        begin_round();
        cycle(l, levels);
        double norm = residual(&l[0]);
        if (round == 0)
            first = norm;
        verify(norm == first, "mg");
    }
}

/* Integer sort: random keys ranked by counting, then moved to their places. */
static void is(int index, int threads)
{
    enum { shift = 22, buckets = 1 << (32 - shift) };
    size_t count = ((size_t)1 << 25) / threads;
    uint32_t *keys = need(4 * count), *sorted = need(4 * count), *rank = need(4 * buckets);
    uint64_t first = 0;

    for (int round = 0;; round++) {
        uint64_t seed = 161803398u + index, sum = 0;
        int good = 1;

        begin_round();
        memset(rank, 0, 4 * buckets);
        for (size_t i = 0; i < count; i++) {
            keys[i] = (uint32_t)next_random(&seed);
            rank[keys[i] >> shift]++;
            if (i % 4096 == 0)
                work(1);
        }
        for (uint32_t i = 0, before = 0; i < buckets; i++) {
            uint32_t here = rank[i];
            rank[i] = before;
            before += here;
        }
        for (size_t i = 0; i < count; i++) {
            sorted[rank[keys[i] >> shift]++] = keys[i];
            if (i % 4096 == 0)
                work(1);
        }
        for (size_t i = 0; i < count; i++) {
            good &= i == 0 || sorted[i - 1] >> shift <= sorted[i] >> shift;
            sum = sum * 31 + sorted[i];
            if (i % 4096 == 0)
                work(1);
        }
        if (round == 0)
            first = sum;
        verify(good && sum == first, "is");
    }
}

/* 3-D FFT: as NPB's, each iteration evolves the spectrum into a second array, transforms that, adds it up. */
typedef double complex_number __attribute__((vector_size(16)));

static complex_number times(complex_number a, complex_number b)
{
    complex_number turned = {-a[1], a[0]};

    return a * (complex_number){b[0], b[0]} + turned * (complex_number){b[1], b[1]};
}

/* One line in place; roots holds exp(-2 pi i k / 256) and n divides 256. */
static void fft_line(complex_number *data, size_t stride, int n, const complex_number *roots)
{
    complex_number line[256];

    for (int i = 0, j = 0; i < n; i++) {
        int bit = n >> 1;
        line[j] = data[stride * i];
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
    }
    for (int half = 1; half < n; half *= 2)
        for (int k = 0; k < half; k++) {
            complex_number root = roots[k * (128 / half)];
            for (complex_number *a = line + k; a < line + n; a += 2 * half) {
                complex_number b = times(a[half], root);
                a[half] = a[0] - b;
                a[0] += b;
            }
        }
    for (int i = 0; i < n; i++)
        data[stride * i] = line[i];
}

static void ft(int index, int threads)
{
    enum { nx = 128, ny = 128 };
    const int nz = 256 / threads & -2;
    const size_t plane = nx * ny, count = plane * nz;
    complex_number *spectrum = need(16 * count), *x = need(16 * count), roots[128], first = {0, 0};
    double *factor = need(8 * count);
    uint64_t seed = 577215664u + index;

    for (int k = 0; k < 128; k++)
        roots[k] = (complex_number){cos(M_PI * k / 128), -sin(M_PI * k / 128)};
    for (size_t i = 0; i < count; i++) {
        spectrum[i] = (complex_number){(double)(next_random(&seed) % 1000), (double)(next_random(&seed) % 1000)};
        factor[i] = (double)(next_random(&seed) % 1000) / 1000;
    }
    for (int round = 0;; round++) {
        complex_number sum = {0, 0};

        begin_round();
        for (size_t i = 0; i < count; i++) {
            x[i] = spectrum[i] * (complex_number){factor[i], factor[i]};
            if (i % 4096 == 0)
                work(4);
        }
        for (size_t at = 0; at < count; at += nx) {
            fft_line(x + at, 1, nx, roots);
            work(1);
        }
        for (size_t z = 0; z < count; z += plane)
            for (int c = 0; c < nx; c++) {
                fft_line(x + z + c, nx, ny, roots);
                work(1);
            }
        for (size_t c = 0; c < plane; c++) {
            fft_line(x + c, plane, nz, roots);
            work(2);
        }
        for (size_t i = 0; i < count; i++) {
            sum += x[i] * (complex_number){i % 7 + 1.0, i % 5 + 1.0};
            if (i % 4096 == 0)
                work(4);
        }
        if (round == 0)
            first = sum;
        verify(sum[0] == first[0] && sum[1] == first[1], "ft");
    }
}

void run_kernel(const char *name, int index, int threads)
{
    if (!strcmp(name, "ep"))
        ep(index, threads);
    else if (!strcmp(name, "mg"))
        mg(index, threads);
    else if (!strcmp(name, "is"))
        is(index, threads);
    else if (!strcmp(name, "ft"))
        ft(index, threads);
}
