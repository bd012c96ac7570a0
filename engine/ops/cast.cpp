#include <algorithm>
#include <charconv>
#include "engine/device_lowering.h"
#include "engine/ops/real_to_int.h"

namespace engine {
namespace {
using schema::Cast, schema::RoundMode;

Types infer(const Cast& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_tensor(0);
  Type type = in.in(0);
  type.dtype = op.to;
  return {type};
}

// --- Strings: the spelling is the C locale's, whatever the process's locale is ---

double parse_real(std::string_view text, const std::string& whole) {
  std::string lower(text);
  for (char& ch : lower) ch = ch >= 'A' && ch <= 'Z' ? char(ch - 'A' + 'a') : ch;
  const bool negative = lower.starts_with('-');
  std::string_view rest = lower;
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error == std::errc::result_out_of_range) {  // from_chars leaves the value alone
    const size_t e = rest.find('e');
    value = e != rest.npos && e + 1 < rest.size() && rest[e + 1] == '-' ? 0 : INFINITY;
  } else {
    check(error == std::errc() && end == rest.data() + rest.size() && !rest.starts_with('-'), "'", whole, "' is not a number");
  }
  return negative ? -value : value;
}

template <class T> T parse(const std::string& whole) {
  std::string_view text = whole;
  while (!text.empty() && (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r'))) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || (text.back() >= '\t' && text.back() <= '\r'))) text.remove_suffix(1);
  if constexpr (std::is_same_v<T, double>) {
    return parse_real(text, whole);
  } else {
    T value;
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value.v);
    if (error == std::errc() && end == digits.data() + digits.size()) return value;
    return real_to_int<T>(parse_real(text, whole));
  }
}

template <class T> std::string print(DType dtype, T x) {
  char text[64];
  if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(x)) return "NaN";
    if (std::isinf(x)) return x < 0 ? "-INF" : "INF";
    const auto end = dtype == DType::f64 ? std::to_chars(text, std::end(text), x) : std::to_chars(text, std::end(text), float(x));
    return {text, end.ptr};
  } else {
    return {text, std::to_chars(text, std::end(text), x.v).ptr};
  }
}

// --- Numbers ---

// Rounds the magnitude to a power of two. The exponent's bits are f32's.
uint8_t to_f8e8m0(double x, RoundMode mode, bool saturate) {
  const auto bits = std::bit_cast<uint32_t>(float(x));
  const int exponent = bits >> 23 & 0xff;
  if (exponent == 0xff) return 0xff;
  const uint32_t fraction = bits & 0x7fffff, half = 0x400000;
  const bool up = mode == RoundMode::up ? fraction > 0
                  : mode == RoundMode::nearest ? fraction > half || (fraction == half && exponent > 0) : false;
  if (up && exponent == 0xfe) return saturate ? 0xfe : 0xff;
  return uint8_t(exponent + up);
}

template <class T> void convert(const Cast& op, const ConstView& x, const View& y) {
  const int64_t n = y.elements();
  if constexpr (std::is_same_v<T, double>) {
    if (op.to == DType::u64) {
      for (int64_t i = 0; i < n; ++i) store(y, i, real_to_int<UInt>(load<double>(x, i)));
      return;
    }
    if (schema::is_integer(op.to)) {
      for (int64_t i = 0; i < n; ++i) store(y, i, real_to_int(load<double>(x, i)));
      return;
    }
  }
  if (op.to == DType::f8e8m0) {
    for (int64_t i = 0; i < n; ++i) y.as<uint8_t>()[i] = to_f8e8m0(static_cast<double>(load<T>(x, i)), op.round, op.saturate);
    return;
  }
  const bool saturate = op.saturate && bits_of(op.to) == 8;  // only a float8 does
  for (int64_t i = 0; i < n; ++i) store(y, i, load<T>(x, i), saturate);
}

void reference(const Cast& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const View y = c.out(0);
  const int64_t n = y.elements();
  if (x.dtype == op.to) return copy_tensor(y, x);
  if (x.dtype == DType::string) {
    const auto text = x.as<std::string>();
    return with_carrier(op.to, [&]<class T>(T) {
      for (int64_t i = 0; i < n; ++i) {
        if (op.to == DType::f8e8m0) y.as<uint8_t>()[i] = to_f8e8m0(parse<double>(text[i]), op.round, op.saturate);
        else store(y, i, parse<T>(text[i]), op.saturate && bits_of(op.to) == 8);
      }
    });
  }
  if (op.to == DType::string) {
    const auto text = y.as<std::string>();
    return with_carrier(x.dtype, [&]<class T>(T) {
      for (int64_t i = 0; i < n; ++i) text[i] = print(x.dtype, load<T>(x, i));
    });
  }
  with_carrier(x.dtype, [&]<class T>(T) { convert<T>(op, x, y); });
}

std::optional<Lowered> lower(const Cast& op, const LowerContext& c) {
  if (!c.target) return std::nullopt;
  return lower_on_device(c, &kernels::cuda::Backend::cast, {c.in(0).dtype, op.to, elements(c.in(0).shape())},
                         [x = device_input(c, 0)](RunContext& r) { return kernels::cuda::CopyArgs{x.at<void>(r), out_at<void>(r)}; });
}

void simplify(const Cast& op, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  if (rewriter.graph[node.inputs[0]].type.dtype == op.to) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Cast>& def(const Cast&) {
  static constexpr OpDef<Cast> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .simplify = simplify};
  return def;
}
}  // namespace engine
