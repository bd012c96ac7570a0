#include "engine/op.h"
#if INLAY_REGEX
#include <re2/re2.h>
#endif

namespace engine {
namespace {
using schema::RegexFullMatch;

#if INLAY_REGEX
constexpr int64_t most_memory = 8 << 20;  // of a compiled pattern and what it caches as it runs

// RE2 matches in linear time, whatever the pattern is.
std::shared_ptr<const RE2> compiled(const RegexFullMatch& op) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(most_memory);
  auto pattern = std::make_shared<const RE2>(op.pattern, options);
  check(pattern->ok(), "pattern '", op.pattern, "' is not valid: ", pattern->error());
  return pattern;
}
void match(const RE2& pattern, RunContext& c) {
  const auto x = c.in(0).as<std::string>();
  const View y = c.set_out(0, DType::boolean, c.in(0).shape);
  for (size_t i = 0; i < x.size(); ++i) {
    if (i % 64 == 0) c.check_stop();
    store(y, int64_t(i), Int(RE2::FullMatch(x[i], pattern)));
  }
}
void reference(const RegexFullMatch& op, RunContext& c) { match(*compiled(op), c); }

// The pattern is compiled once.
std::optional<Lowered> lower(const RegexFullMatch& op, const LowerContext&) {
  return Lowered{"re2", [pattern = compiled(op)](RunContext& c) { match(*pattern, c); }};
}
void check_pattern(const RegexFullMatch& op) { compiled(op); }
#else
void check_pattern(const RegexFullMatch&) {
  fail(Code::unsupported, "this build has no regular expressions: it was configured with INLAY_REGEX=OFF");
}
void reference(const RegexFullMatch& op, RunContext&) { check_pattern(op); }
std::optional<Lowered> lower(const RegexFullMatch&, const LowerContext&) { return std::nullopt; }
#endif

Types infer(const RegexFullMatch& op, const InferContext& in) {
  check_pattern(op);
  in.expect_inputs(1, 1);
  in.expect_dtype(0, {DType::string});
  Type y = in.in(0);
  y.dtype = DType::boolean;
  return {y};
}
}  // namespace

const OpDef<RegexFullMatch>& def(const RegexFullMatch&) {
  static constexpr OpDef<RegexFullMatch> def{.infer = infer, .reference = reference, .lower = lower};
  return def;
}
}  // namespace engine
