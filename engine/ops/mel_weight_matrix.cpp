#include <algorithm>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::MelWeightMatrix;

constexpr const char* mel_inputs[] = {"the number of bands", "the length of the transform", "the sample rate",
                                      "the lower edge", "the upper edge"};
void check_size(size_t k, const Dim& size) {
  check(!size.known() || size.value() >= (k ? 1 : 0), mel_inputs[k], " is ", size.text());
}

Types infer(const MelWeightMatrix& op, const InferContext& in) {
  in.expect_inputs(5, 5);
  for (size_t k = 0; k < 5; ++k) {
    if (k < 3) in.expect_dtype(k, {DType::i32, DType::i64});
    else in.expect_class(k, schema::DTypeClass::real);
    in.expect_scalar(k, mel_inputs[k]);
    if (const auto size = in.known_scalar(k)) check_size(k, *size);
  }
  check(schema::is_real(op.to) || schema::is_integer(op.to), "gives numbers, not ", name(op.to));
  Type y = Type::tensor(op.to, Dims(2, Dim::unknown()));
  if (const auto length = in.known_scalar(1)) y.dims[0] = *length / 2 + 1;
  if (const auto bands = in.known_scalar(0)) y.dims[1] = *bands;
  return {y};
}

void reference(const MelWeightMatrix& op, RunContext& c) {
  int64_t sizes[3];
  for (size_t k = 0; k < 3; ++k) check_size(k, sizes[k] = only_int(c.in(k), mel_inputs[k]));
  const int64_t bands = sizes[0], length = sizes[1], rate = sizes[2];
  const double lower = load<double>(c.in(3), 0), upper = load<double>(c.in(4), 0);
  check(lower > -700 && lower <= upper && std::isfinite(upper), "there are no bands from ", lower, " to ", upper,
        " hertz");
  const int64_t bins = length / 2 + 1, shape[] = {bins, bands};
  const View y = c.set_out(0, op.to, shape);
  std::fill_n(y.data, y.bytes(), std::byte{});
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double first = mel(lower), step = (mel(upper) - first) / (double(bands) + 2);
  const auto bin = [&](int64_t k) {
    const double hertz = 700 * (std::pow(10, (first + double(k) * step) / 2595) - 1);
    return int64_t(std::clamp(std::floor((double(length) + 1) * hertz / double(rate)), -0x1p52, 0x1p52));
  };
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t left = bin(band), centre = bin(band + 1), right = bin(band + 2);
    const auto weigh = [&](int64_t from, int64_t to, auto weight) {  // what lies outside of the spectrum has no place
      for (int64_t k = std::max<int64_t>(from, 0); k < std::min(to, bins); ++k)
        store(y, k * bands + band, double(weight(k)));
    };
    weigh(left, centre, [&](int64_t k) { return double(k - left) / double(centre - left); });
    weigh(centre, centre + 1, [](int64_t) { return 1.0; });
    weigh(centre + 1, right, [&](int64_t k) { return double(right - k) / double(right - centre); });
  }
}
}  // namespace

const OpDef<MelWeightMatrix>& def(const MelWeightMatrix&) {
  static constexpr OpDef<MelWeightMatrix> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
