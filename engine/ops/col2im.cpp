#include <array>
#include "engine/ops/spatial.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Col2Im;

// The output for x [N,C*taps,windows] and what the lists say.
Dims output_dims(const Col2Im& op, const Dims& x, const Dims& image, const Dims& kernel) {
  const size_t dims = image.size();
  check(dims >= 1 && int64_t(dims) <= limits::rank - 2, "the image has ", dims, " dims");
  check(kernel.size() == dims, "the kernel has ", kernel.size(), " dims, the image ", dims);
  const auto spatial = windows(op, dims);
  Dim taps = 1, count = 1;
  for (size_t d = 0; d < dims; ++d) {
    check(!image[d].known() || (image[d].value() >= 0 && image[d].value() <= limits::extent), "image extent ",
          image[d].text(), " is out of range");
    check_kernel(kernel[d]);
    taps = taps * kernel[d];
    count = count * spatial[d].out(image[d], kernel[d]);
  }
  check(!x[1].known() || !taps.known() || x[1].value() % taps.value() == 0, x[1].text(),
        " rows do not divide into kernels of ", taps.text(), " elements");
  check(may_equal(x[2], count), "x has ", x[2].text(), " columns for ", count.text(), " windows");
  Dims y{x[0], x[1] / taps};
  y.insert(y.end(), image.begin(), image.end());
  return y;
}

Types infer(const Col2Im& op, const InferContext& in) {
  in.expect_inputs(3, 3);
  in.expect_tensor(0);
  const DType dtype = in.in(0).dtype;
  check(dtype != DType::string, "is not defined for strings");
  const Dims x = in.expect_rank(0, 3);
  int64_t dims = -1;
  std::array<Dims, 2> lists;
  for (size_t k : {1, 2}) {
    in.expect_dtype(k, {DType::i64});
    const Dim count = in.expect_rank(k, 1)[0];
    const auto known = in.ints(k);
    if (!known && !count.known()) continue;
    if (dims < 0) dims = known ? int64_t(known->size()) : count.value();
    check(dims <= limits::rank - 2, "the image has ", dims, " dims");
    lists[k - 1] = known.value_or(Dims(size_t(known ? 0 : count.value()), Dim::unknown()));
  }
  if (dims < 0) return {Type::unranked(dtype)};
  for (Dims& list : lists)
    if (list.empty()) list = Dims(size_t(dims), Dim::unknown());
  return {Type::tensor(dtype, output_dims(op, x, lists[0], lists[1]))};
}

void reference(const Col2Im& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const Extents image = small_ints(c.in(1)), kernel = small_ints(c.in(2));
  const auto dims_of = [](std::span<const int64_t> list) { return Dims(list.begin(), list.end()); };
  const Dims shape = output_dims(op, dims_of(x.shape), dims_of(image), dims_of(kernel));
  const View y = c.set_out(0, x.dtype, Type::tensor(x.dtype, shape).shape());
  if (y.elements() == 0) return;
  const auto spatial = windows(op, image.size());
  Shape before, out;
  for (size_t d = 0; d < image.size(); ++d) {
    before.push_back(spatial[d].begin);
    out.push_back(spatial[d].out(image[d], kernel[d]).value());
  }
  const int64_t planes = y.shape[0] * y.shape[1], plane = product(image), taps = product(kernel), count = x.shape[2];
  with_carrier(x.dtype, [&]<class T>(T) {
    Scratch<T> sums(static_cast<size_t>(plane));
    with_reader<T>(x, [&](auto read) {
      for (int64_t p = 0; p < planes; ++p) {
        std::ranges::fill(sums, T(0));
        for_each_tap(spatial, before, image, kernel, out,
                     [&](int64_t tap, const std::vector<Run>& runs, int64_t length, int64_t step) {
                       const int64_t row = (p * taps + tap) * count;
                       for (const Run& run : runs)
                         for (int64_t i = 0; i < length; ++i) {
                           T& sum = sums[size_t(run.in + i * step)];
                           sum = sum + read(row + run.out + i);
                         }
                     });
        for (int64_t i = 0; i < plane; ++i) store(y, p * plane + i, sums[size_t(i)]);
      }
    });
  });
}

double flops(const Col2Im&, std::span<const Type> in, std::span<const Type>) {
  return in[0].determined() ? double(elements(in[0].shape())) : 0;
}
}  // namespace

const OpDef<Col2Im>& def(const Col2Im&) {
  static constexpr OpDef<Col2Im> def{.infer = infer, .reference = reference, .flops = flops};
  return def;
}
}  // namespace engine
