#include "kernels/tile/tile.h"

namespace kernels::tile {
namespace {
constexpr int64_t set_ways = 8;  // of the smallest first-level cache
constexpr int lanes = 8, scalar_rows = 4, scalar_vectors = 2;

const float* offset(const float* p, int64_t bytes) {
  return reinterpret_cast<const float*>(reinterpret_cast<const char*>(p) + bytes);
}

void run_scalar(Args* args) {
  const Shape& s = *args->shape;
  const int padded = s.vectors * lanes, columns = s.tail ? padded - lanes + s.tail : padded;
  for (int64_t tile = 0; tile < args->tiles; ++tile) {
    float sum[scalar_rows][scalar_vectors * lanes] = {};
    for (int r = 0; r < s.rows; ++r) {
      if (s.bias) std::copy_n(args->bias, columns, sum[r]);
    }
    const float *b = args->b, *image = args->a;
    const int64_t k_step = s.strided ? args->k_step : sizeof(float);
    for (int64_t outer = 0; outer < args->outer; ++outer, image = offset(image, args->outer_step)) {
      for (const Tap& tap : s.taps) {
        const int last = std::min(tap.last, s.rows);
        for (int64_t k = 0; k < args->k * tap.count; ++k) {
          for (int r = tap.first; r < last; ++r) {
            const float a = *offset(image, tap.offset + r * args->lda + k * k_step);
            for (int n = 0; n < columns; ++n) sum[r][n] += a * b[n];
          }
          b = s.direct ? offset(b, args->b_stride) : b + padded;
        }
      }
    }
    for (int r = 0; r < s.rows; ++r) {
      auto* c = const_cast<float*>(offset(args->c, r * args->ldc));
      for (int n = 0; n < columns; ++n) c[n] = s.accumulate ? sum[r][n] + c[n] : sum[r][n];
    }
    args->a = offset(args->a, s.rows * args->lda);
    args->c = const_cast<float*>(offset(args->c, s.rows * args->ldc));
  }
}
}  // namespace

const Backend scalar{"scalar",
                     isa::scalar,
                     lanes,
                     {0, scalar_rows, scalar_rows, 0, 0},
                     scalar_vectors,
                     1,
                     [](const Shape& shape) {
                       return Tile{run_scalar, std::make_shared<const Shape>(shape), nullptr};
                     },
                     [](const pointwise::Chain&) { return std::string("the tile has no epilogue"); }};

double cost(const Backend& backend, int64_t columns) {
  const int64_t vectors = (columns + backend.lanes - 1) / backend.lanes;
  return backend.cost * static_cast<double>(vectors * backend.lanes) / static_cast<double>(columns) * (vectors == 1 ? 1.4 : 1);
}

Panels::Panels(const Backend& backend, int64_t columns, int64_t stride, int64_t rows) : lanes(backend.lanes) {
  const auto total = static_cast<int>((columns + lanes - 1) / lanes);
  const auto rows_of = [&](int v) { return v < static_cast<int>(backend.max_rows.size()) ? backend.max_rows[v] : 0; };
  vectors = backend.vectors;
  if (total == 3 && rows_of(3)) vectors = 3;
  if (stride % 4096 == 0 && rows >= set_ways && total >= 4 && rows_of(4)) vectors = 4;
  if (PanelPreference::current && rows_of(PanelPreference::current)) vectors = PanelPreference::current;
  vectors = std::max(1, std::min(vectors, total));
  count = (total + vectors - 1) / vectors;
  last_vectors = total - (count - 1) * vectors;
  tail = static_cast<int>(columns % lanes);
}

RowSplit::RowSplit(int64_t total, int max_rows) {
  if (total <= 0) return;
  const int64_t tiles = (total + max_rows - 1) / max_rows;
  rows = static_cast<int>((total + tiles - 1) / tiles);
  larger = total - (rows - 1) * tiles;
  smaller = tiles - larger;
}

KBlocks KBlocks::even(int64_t k, int64_t limit) {
  if (k <= limit) return {k, std::max<int64_t>(k, 1)};
  const int64_t count = (k + limit - 1) / limit;
  return {k, ((k + count - 1) / count + 15) / 16 * 16};
}

Epilogue::Epilogue(const Backend& backend, const pointwise::Chain& chain, const pointwise::KeptTypes& kept) {
  if (chain.empty()) return;
  pointwise::KeptTypes of_pass = kept;
  of_pass.x = kept.y;
  if (operands_are_as_y(chain, kept) && backend.epilogue_refusal(chain).empty()) {
    in_tile = chain;
  } else {
    pass = pointwise::select(chain, backend.isa, of_pass).kernel;
  }
}

void set_place(Shape& shape, Place place, bool bias, const pointwise::Chain& epilogue) {
  const bool first = place == Place::only || place == Place::first, last = place == Place::only || place == Place::last;
  shape.accumulate = !first;
  shape.bias = first && bias;
  shape.epilogue = last ? epilogue : pointwise::Chain{};
}
}  // namespace kernels::tile
