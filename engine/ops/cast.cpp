#include <algorithm>
#include <charconv>
#include "engine/device_lowering.h"
#include "engine/ops/real_to_int.h"
#include "kernels/half/half.h"

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

// Between these, every element of one is one of the other, or rounds as C++ has it. False: it is another pair.
bool convert_native(DType from, DType to, const ConstView& x, const View& y) {
  const auto run = [&]<class A, class B>(A, B) {
    const auto* a = reinterpret_cast<const A*>(x.data);
    auto* b = reinterpret_cast<B*>(y.data);
    const int64_t n = y.elements();
    if (from == DType::boolean) for (int64_t i = 0; i < n; ++i) b[i] = static_cast<B>(a[i] != 0);  // any byte but 0 is true
    else for (int64_t i = 0; i < n; ++i) b[i] = static_cast<B>(a[i]);
    return true;
  };
  const auto to_any = [&]<class A>(A a) {
    if (to == DType::f32) return run(a, float{});
    if (to == DType::i32 && sizeof(A) < 8) return run(a, int32_t{});
    return to == DType::i64 && run(a, int64_t{});
  };
  if (from == DType::boolean || from == DType::u8) return to_any(uint8_t{});
  if (from == DType::i32) return to_any(int32_t{});
  return from == DType::i64 && to_any(int64_t{});
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
  if (!convert_native(x.dtype, op.to, x, y)) with_carrier(x.dtype, [&]<class T>(T) { convert<T>(op, x, y); });
}

void simplify(const Cast& op, NodeId n, Rewriter& rewriter) {
  const Node& node = rewriter.graph[n];
  if (rewriter.graph[node.inputs[0]].type.dtype == op.to) rewriter.replace(node.outputs[0], node.inputs[0]);
}

std::optional<Lowered> lower(const Cast& op, const LowerContext& c) {
  const DType from = c.in(0).dtype;
  if (c.target && c.kept_out() != op.to && c.kept_out() != c.kept_in(0)) return std::nullopt;  // of what is half already
  if (c.target)
    return lower_on_device(c, &kernels::cuda::Backend::cast, {c.kept_in(0), c.kept_out(), elements(c.in(0).shape())},
                           [x = device_input(c, 0)](RunContext& r) { return kernels::cuda::CopyArgs{x.at<void>(r), out_at<void>(r)}; });
  const kernels::half::Spec spec{.back = from == DType::f16};
  if (!(from == DType::f32 && op.to == DType::f16) && !(spec.back && op.to == DType::f32)) return std::nullopt;
  auto choice = kernels::half::select(spec, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel), spec](RunContext& r) {
    kernel.run(r.in(0).data, r.out(0).data, r.out(0).elements(), spec, r.pool(), r.threads());
  }};
}
}  // namespace

const OpDef<Cast>& def(const Cast&) {
  static constexpr OpDef<Cast> def{.infer = infer, .reference = reference, .lower = lower, .on_device = true, .keeps_half = true, .simplify = simplify};
  return def;
}
}  // namespace engine
