#include <algorithm>
#include "engine/op.h"
#include "engine/ops/lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::MatMul;

constexpr int64_t panel = 256;  // columns of b that are unpacked to the carrier at once

// The matrix in the last dims of an operand, after the swap that the op asks for; a vector is one row of a, one column of b.
template <class D> struct Matrix {
  D rows, columns;
  int64_t row_step = 0, column_step = 0;  // in elements
};
template <class D> Matrix<D> matrix_of(std::span<const D> dims, bool trans, bool is_a, int64_t last_extent) {
  const size_t n = dims.size();
  if (n == 1) return is_a ? Matrix<D>{1, dims[0], 0, 1} : Matrix<D>{dims[0], 1, 1, 0};
  if (trans) return {dims[n - 1], dims[n - 2], 1, last_extent};
  return {dims[n - 2], dims[n - 1], last_extent, 1};
}
template <class D> std::span<const D> batch_of(std::span<const D> dims) { return dims.first(std::max<size_t>(dims.size(), 2) - 2); }

Types infer(const MatMul& op, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_same_dtype(0, 1);
  in.expect_number(0);
  const Type &a = in.in(0), &b = in.in(1);
  if (!a.ranked || !b.ranked) return {Type::unranked(a.dtype)};
  check(a.rank() >= 1 && b.rank() >= 1, "is not defined on scalars");
  const auto ma = matrix_of(std::span(a.dims), op.trans_a, true, 0), mb = matrix_of(std::span(b.dims), op.trans_b, false, 0);
  check(may_equal(ma.columns, mb.rows), "a ", a, op.trans_a ? " (transposed)" : "", " has ", ma.columns, " columns, b ",
        b, op.trans_b ? " (transposed)" : "", " has ", mb.rows, " rows");
  const auto batch = [](const Type& t) { const auto dims = batch_of(std::span(t.dims)); return Type::tensor(t.dtype, Dims(dims.begin(), dims.end())); };
  const Type batches[] = {batch(a), batch(b)};
  Type y = broadcast(a.dtype, batches);
  if (a.rank() > 1) y.dims.push_back(ma.rows);
  if (b.rank() > 1) y.dims.push_back(mb.columns);
  return {y};
}

// One product: y (dense) = a · b, from the given first elements. Sums are in the carrier, in order of k. `memory` holds
// a panel of b and a row of y.
template <class T> void multiply(const ConstView& a, const Matrix<int64_t>& ma, int64_t a0, const ConstView& b, const Matrix<int64_t>& mb,
                                 int64_t b0, const View& y, int64_t y0, std::span<T> memory) {
  const int64_t depth = ma.columns;
  T* row = memory.data() + depth * panel;
  for (int64_t first = 0; first < mb.columns; first += panel) {
    const int64_t width = std::min(panel, mb.columns - first);
    with_reader<T>(b, [&](auto read) {
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t j = 0; j < width; ++j) memory[k * panel + j] = read(b0 + k * mb.row_step + (first + j) * mb.column_step);
    });
    with_reader<T>(a, [&](auto read) {
      for (int64_t i = 0; i < ma.rows; ++i) {
        std::fill_n(row, width, T(0));
        for (int64_t k = 0; k < depth; ++k) {
          const T factor = read(a0 + i * ma.row_step + k * ma.column_step);
          const T* p = memory.data() + k * panel;
          for (int64_t j = 0; j < width; ++j) row[j] = row[j] + factor * p[j];
        }
        for (int64_t j = 0; j < width; ++j) store(y, y0 + i * mb.columns + first + j, row[j]);
      }
    });
  }
}

void reference(const MatMul& op, RunContext& c) {
  const ConstView &a = c.in(0), &b = c.in(1);
  const View y = c.out(0);
  if (y.elements() == 0) return;
  const auto ma = matrix_of(a.shape, op.trans_a, true, a.shape.back()), mb = matrix_of(b.shape, op.trans_b, false, b.shape.back());
  const auto batch = y.shape.first(y.shape.size() - (a.rank() > 1) - (b.rank() > 1));
  const auto batch_strides = [&](const ConstView& x, int64_t size) {
    Extents strides = broadcast_strides(batch_of(x.shape), batch.size());
    for (int64_t& s : strides) s *= size;
    return strides;
  };
  Nest<3> nest{batch, {batch_strides(a, ma.rows * ma.columns), batch_strides(b, mb.rows * mb.columns), dense_strides(batch)}};
  for (int64_t& s : nest.strides[2]) s *= ma.rows * mb.columns;
  with_carrier(y.dtype, [&]<class T>(T) {
    const auto memory = c.workspace<T>(size_t(ma.columns * panel + panel));
    nest.merged().each({}, [&](const auto& at) { multiply<T>(a, ma, at[0], b, mb, at[1], y, at[2], memory); });
  });
}

double flops(const MatMul& op, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || !out[0].determined()) return 0;
  const Shape a = in[0].shape();
  return 2.0 * double(matrix_of<int64_t>(a, op.trans_a, true, 0).columns) * double(elements(out[0].shape()));
}
// Constant weights: all leading dims of A are rows.
bool takes_pitch(const MatMul& op, const Graph& graph, const Node& node, int port) {
  const auto type = [&](size_t k) -> const Type& { return graph[node.inputs[k]].type; };
  return port <= 0 && !op.trans_a && graph[node.inputs[1]].constant && type(0).dtype == DType::f32 && type(0).determined() && type(0).rank() >= 2 &&
         type(1).rank() == 2;
}
}  // namespace

const OpDef<MatMul>& def(const MatMul&) {
  static constexpr OpDef<MatMul> def{.infer = infer, .reference = reference, .lower = lower_mat_mul, .on_device = true, .keeps_half = true, .cpu_keeps_half = true, .takes_pitch = takes_pitch, .flops = flops};
  return def;
}
}  // namespace engine
