#include "engine/op.h"
#include "engine/ops/doubles.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::AffineGrid;

// The output, from the extents of theta and the entries of the size.
Dims output_dims(const Dims& theta, const Dims& size) {
  const int64_t dims = int64_t(size.size()) - 2;
  check(dims == 2 || dims == 3, "the size has ", size.size(), " entries, not 4 or 5");
  check(may_equal(theta[1], dims) && may_equal(theta[2], dims + 1), "theta has ", theta[1].text(), " rows of ",
        theta[2].text(), " for ", dims, " spatial dims");
  Dims y{theta[0]};
  meet(y[0], size[0], "batch");
  for (int64_t d = 0; d < dims; ++d) y.push_back(size[size_t(d) + 2]);
  for (const Dim& d : y)
    check(!d.known() || (d.value() >= 0 && d.value() <= limits::extent), "extent ", d.text(), " is out of range");
  y.push_back(dims);
  return y;
}

Types infer(const AffineGrid&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_class(0, schema::DTypeClass::real);
  in.expect_dtype(1, {DType::i64});
  const Dims theta = in.expect_rank(0, 3);
  const Dim entries = in.expect_rank(1, 1)[0];
  std::optional<Dims> size = in.ints(1);
  if (!size) {
    const Dim count = entries.known() ? entries : theta[1] + 2;
    if (!count.known()) return {Type::unranked(in.in(0).dtype)};
    check(count == Dim(4) || count == Dim(5), "the size has ", count.text(), " entries, not 4 or 5");
    size.emplace(size_t(count.value()), Dim::unknown());
  }
  return {Type::tensor(in.in(0).dtype, output_dims(theta, *size))};
}

// Where the centre of element i of a dim lies, between -1 and 1.
double place(bool align_corners, int64_t i, int64_t extent) {
  if (!align_corners) return double(2 * i + 1 - extent) / double(extent);
  return extent > 1 ? double(2 * i + 1 - extent) / double(extent - 1) : -1;
}

void reference(const AffineGrid& op, RunContext& c) {
  const ConstView& theta = c.in(0);
  const Extents size = small_ints(c.in(1));
  const Dims dims = output_dims(Dims(theta.shape.begin(), theta.shape.end()), Dims(size.begin(), size.end()));
  const View y = c.set_out(0, theta.dtype, Type::tensor(theta.dtype, dims).shape());
  if (y.elements() == 0) return;
  const int64_t r = y.shape.back(), width = y.shape[size_t(r)], height = y.shape[size_t(r) - 1],
                depth = r == 3 ? y.shape[1] : 1;
  const auto line = c.workspace<double>(size_t(width * r));
  for (int64_t n = 0, first = 0; n < y.shape[0]; ++n) {
    const auto at = [&](int64_t i, int64_t j) { return load<double>(theta, (n * r + i) * (r + 1) + j); };
    for (int64_t d = 0; d < depth; ++d)
      for (int64_t h = 0; h < height; ++h, first += width * r) {
        for (int64_t i = 0; i < r; ++i) {
          double base = at(i, r) + at(i, 1) * place(op.align_corners, h, height);
          if (r == 3) base += at(i, 2) * place(op.align_corners, d, depth);
          const double slope = at(i, 0);
          for (int64_t w = 0; w < width; ++w)
            line[size_t(w * r + i)] = base + slope * place(op.align_corners, w, width);
        }
        store_doubles(y, first, line);
      }
  }
}

double flops(const AffineGrid&, std::span<const Type>, std::span<const Type> out) {
  return out[0].determined() ? 4 * double(elements(out[0].shape())) : 0;
}
}  // namespace

const OpDef<AffineGrid>& def(const AffineGrid&) {
  static constexpr OpDef<AffineGrid> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
