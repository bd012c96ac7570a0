#include "kernels/simd.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/tile/simd.cpp"
#include <hwy/foreach_target.h>
#include "kernels/simd-inl.h"
#include "kernels/tile/tile.h"

#if INLAY_SIMD_TARGET && !defined(__aarch64__)  // its tile is neon.cpp
HWY_BEFORE_NAMESPACE();
namespace kernels::tile::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::HWY_NAMESPACE::lanes;
using kernels::HWY_NAMESPACE::load_first;
using kernels::HWY_NAMESPACE::registers;
using kernels::HWY_NAMESPACE::store_first;
using kernels::HWY_NAMESPACE::Vec;
using kernels::HWY_NAMESPACE::vector;

constexpr int max_rows = registers == 16 ? 6 : 8;  // of two vectors: what the register file holds

HWY_INLINE const float* offset(const float* p, int64_t bytes) {
  return reinterpret_cast<const float*>(reinterpret_cast<const char*>(p) + bytes);
}

#define UNROLL _Pragma("GCC unroll 16") for

template <int M, int V> struct Tile {
  Vec sum[M][V];
  HWY_ATTR Tile() {}  // one that the compiler declares would not be for the target

  static HWY_INLINE Vec load(const float* from, int v, int tail) {
    return tail && v == V - 1 ? load_first(from + v * lanes, tail) : hn::LoadU(vector, from + v * lanes);
  }

  // One tap for all rows. B of a direct tail is read lane by lane into the last vector.
  HWY_INLINE const float* dense(const float* a, int64_t lda, const float* b, int64_t k, int64_t b_step, int tail) {
    for (; k > 0; --k, ++a, b = offset(b, b_step)) {
      Vec columns[V];
      UNROLL(int v = 0; v < V; ++v)
      columns[v] = load(b, v, tail);
      UNROLL(int m = 0; m < M; ++m) {
        const Vec row = hn::Set(vector, *offset(a, m * lda));
        UNROLL(int v = 0; v < V; ++v) sum[m][v] = hn::MulAdd(row, columns[v], sum[m][v]);
      }
    }
    return b;
  }

  // One tap of which some rows lie in the padding, or whose k are apart. A row of padding is a zero read again and
  // again.
  HWY_INLINE const float* general(const float* a, const Args& args, const Tap& tap, const float* b, int64_t k_step) {
    static constexpr float zero = 0;
    const float* row[M];
    int64_t step[M];
    UNROLL(int m = 0; m < M; ++m) {
      const bool inside = m >= tap.first && m < tap.last;
      row[m] = inside ? offset(a, m * args.lda) : &zero;
      step[m] = inside ? k_step : 0;
    }
    for (int64_t k = args.k * tap.count; k > 0; --k, b += V * lanes) {
      Vec columns[V];
      UNROLL(int v = 0; v < V; ++v) columns[v] = hn::LoadU(vector, b + v * lanes);
      UNROLL(int m = 0; m < M; ++m) {
        const Vec value = hn::Set(vector, *row[m]);
        row[m] = offset(row[m], step[m]);
        UNROLL(int v = 0; v < V; ++v) sum[m][v] = hn::MulAdd(value, columns[v], sum[m][v]);
      }
    }
    return b;
  }

  static void run(Args* args) {
    const Shape& s = *args->shape;
    const int64_t lda = args->lda, ldc = args->ldc;
    for (int64_t tile = 0; tile < args->tiles; ++tile) {
      Tile t;
      UNROLL(int m = 0; m < M; ++m) {
        UNROLL(int v = 0; v < V; ++v) {
          t.sum[m][v] = s.bias ? load(args->bias, v, s.tail) : hn::Zero(vector);
        }
      }
      const float *a = args->a, *b = args->b;
      for (int64_t outer = 0; outer < args->outer; ++outer, a = offset(a, args->outer_step)) {
        for (const Tap& tap : s.taps) {
          const float* from = offset(a, tap.offset);
          if (s.direct) {
            b = t.dense(from, lda, b, args->k, args->b_stride, s.tail);
          } else if (tap.first == 0 && tap.last >= M && !s.strided) {
            b = t.dense(from, lda, b, args->k * tap.count, V * lanes * static_cast<int64_t>(sizeof(float)), 0);
          } else {
            b = t.general(from, *args, tap, b, s.strided ? args->k_step : static_cast<int64_t>(sizeof(float)));
          }
        }
      }
      float* c = args->c;
      UNROLL(int m = 0; m < M; ++m) {
        UNROLL(int v = 0; v < V; ++v) {
          if (s.accumulate) t.sum[m][v] = hn::Add(t.sum[m][v], load(c, v, s.tail));
          if (s.tail && v == V - 1) {
            store_first(t.sum[m][v], c + v * lanes, s.tail);
          } else {
            hn::StoreU(t.sum[m][v], vector, c + v * lanes);
          }
        }
        c = const_cast<float*>(offset(c, ldc));
      }
      args->a = offset(args->a, M * lda);
      args->c = c;
    }
  }
};

template <int V> tile::Tile::Function function(int rows) {
  constexpr tile::Tile::Function by_rows[] = {
    Tile<1, V>::run,
    Tile<2, V>::run,
    Tile<3, V>::run,
    Tile<4, V>::run,
    Tile<5, V>::run,
    Tile<6, V>::run,
#if HWY_TARGET == HWY_AVX3
    Tile<7, V>::run,
    Tile<8, V>::run
#endif
  };
  return by_rows[rows - 1];
}

}  // namespace
tile::Tile::Function function_of(const Shape& shape) {
  return shape.vectors == 1 ? function<1>(shape.rows) : function<2>(shape.rows);
}
}  // namespace kernels::tile::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// Compiled for the baseline: what it instantiates may be shared with other files.
namespace kernels::tile {
#if HWY_TARGET == HWY_AVX2
#define NAME simd_avx2
#define ISA isa::avx2
#elif HWY_TARGET == HWY_AVX3
#define NAME simd_avx512
#define ISA isa::avx512
#else
#define NAME simd_neon
#define ISA isa::neon
#endif
const Backend NAME{"simd",
                   ISA,
                   kernels::HWY_NAMESPACE::lanes,
                   {0, HWY_NAMESPACE::max_rows, HWY_NAMESPACE::max_rows, 0, 0},
                   2,
                   1.2 / (2 * kernels::HWY_NAMESPACE::lanes),
                   [](const Shape& shape) {
                     return Tile{HWY_NAMESPACE::function_of(shape), std::make_shared<const Shape>(shape), nullptr};
                   },
                   [](const pointwise::Chain&) { return std::string("the tile has no epilogue"); }};
#undef NAME
#undef ISA
}  // namespace kernels::tile
#endif
