#include "kernels/attention/attention.h"
#include "engine/device_lowering.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::Attention;

// A tensor as [B,heads,rows,columns], whichever of heads and rows comes first.
template <class D> struct Heads {
  D batch, heads, rows, columns;
};
template <class Dims> auto heads_of(const Dims& d, bool rows_first) {
  return Heads<std::decay_t<decltype(d[0])>>{d[0], d[rows_first ? 2 : 1], d[rows_first ? 1 : 2], d[3]};
}
// `pitch`: see View.
kernels::attention::Strides strides_of(const Heads<int64_t>& t, bool rows_first, int64_t pitch = 0) {
  const int64_t matrix = pitch ? pitch : rows_first ? t.heads * t.columns : t.rows * t.columns;
  return rows_first ? kernels::attention::Strides{t.rows * matrix, t.columns, matrix} : kernels::attention::Strides{t.heads * matrix, matrix, t.columns};
}

Types infer(const Attention& op, const InferContext& in) {
  in.expect_inputs(3, 4);
  in.expect_class(0, schema::DTypeClass::real);
  for (size_t k = 1; k < 4; ++k)
    if (in.has(k)) in.expect_same_dtype(0, k);
  for (size_t k = 0; k < 3; ++k)
    check(in.in(k).ranked && in.in(k).rank() == 4, "input ", k, " is ", in.in(k), " where rank 4 is needed");
  const auto q = heads_of(in.in(0).dims, op.q_rows_first), k = heads_of(in.in(1).dims, op.k_rows_first), v = heads_of(in.in(2).dims, op.v_rows_first);
  check(may_equal(q.batch, k.batch) && may_equal(q.batch, v.batch) && may_equal(k.heads, v.heads) &&
            may_equal(k.rows, v.rows) && may_equal(q.columns, k.columns),
        "q ", in.in(0), ", k ", in.in(1), " and v ", in.in(2), " do not fit");
  check(!q.heads.known() || !k.heads.known() || (k.heads.value() > 0 && q.heads.value() % k.heads.value() == 0), q.heads.text(), " heads do not share ", k.heads.text());
  if (in.has(3) && in.in(3).ranked) {
    const Dim scores[] = {q.batch, q.heads, q.rows, k.rows};
    const Dims& mask = in.in(3).dims;
    check(mask.size() <= 4, "the mask is ", in.in(3));
    for (size_t i = 0; i < mask.size(); ++i)
      check(mask[i] == Dim(1) || may_equal(mask[i], scores[4 - mask.size() + i]), "the mask ", in.in(3),
            " does not broadcast to the scores");
  }
  return {Type::tensor(in.in(0).dtype, op.y_rows_first ? Dims{q.batch, q.rows, q.heads, v.columns} : Dims{q.batch, q.heads, q.rows, v.columns})};
}

// Extents that inference saw as symbols.
void check_extents(const RunContext& c, const Heads<int64_t>& q, const Heads<int64_t>& k, const Heads<int64_t>& v) {
  if (q.batch != k.batch || q.batch != v.batch || k.heads != v.heads || k.rows != v.rows || q.columns != k.columns || (k.heads ? q.heads % k.heads : q.heads))
    fail(Code::invalid_argument, "q ", c.in(0).shape, ", k ", c.in(1).shape, " and v ", c.in(2).shape, " do not fit");
  if (!c.has(3)) return;
  const int64_t scores[] = {q.batch, q.heads, q.rows, k.rows};
  const auto mask = c.in(3).shape;
  for (size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != 1 && mask[i] != scores[4 - mask.size() + i])
      fail(Code::invalid_argument, "the mask ", mask, " does not broadcast to the scores ", scores);
}

void reference(const Attention& op, RunContext& c) {
  const auto q = heads_of(c.in(0).shape, op.q_rows_first), k = heads_of(c.in(1).shape, op.k_rows_first), v = heads_of(c.in(2).shape, op.v_rows_first);
  check_extents(c, q, k, v);
  const Heads<int64_t> y{q.batch, q.heads, q.rows, v.columns};
  const auto from_q = strides_of(q, op.q_rows_first), from_k = strides_of(k, op.k_rows_first), from_v = strides_of(v, op.v_rows_first),
             to_y = strides_of(y, op.y_rows_first);
  if (c.out(0).elements() == 0) return;
  const int64_t shared = q.heads / std::max<int64_t>(1, k.heads);
  const Extents mask = c.has(3) ? broadcast_strides(c.in(3).shape, 4) : Extents(4);
  const auto scores = c.workspace<double>(size_t(k.rows));
  for (int64_t b = 0; b < q.batch; ++b)
    for (int64_t h = 0; h < q.heads; ++h)
      for (int64_t s = 0; s < q.rows; ++s) {
        double most = -INFINITY, sum = 0;
        const int64_t seen = op.causal ? std::clamp<int64_t>(k.rows - q.rows + s + 1, 0, k.rows) : k.rows;
        std::fill(scores.begin() + seen, scores.end(), -INFINITY);
        for (int64_t t = 0; t < seen; ++t) {
          double dot = 0;
          for (int64_t i = 0; i < q.columns; ++i)
            dot += load<double>(c.in(0), b * from_q.batch + h * from_q.head + s * from_q.row + i) *
                   load<double>(c.in(1), b * from_k.batch + h / shared * from_k.head + t * from_k.row + i);
          scores[size_t(t)] = dot * op.scale + (c.has(3) ? load<double>(c.in(3), b * mask[0] + h * mask[1] + s * mask[2] + t * mask[3]) : 0);
          most = std::max(most, scores[size_t(t)]);
        }
        const bool masked = op.zero_if_masked && most == -INFINITY;
        for (double& score : scores) sum += score = masked ? 0 : std::exp(score - most);
        for (int64_t i = 0; i < v.columns; ++i) {
          double mixed = 0;
          for (int64_t t = 0; t < k.rows; ++t)
            mixed += scores[size_t(t)] * load<double>(c.in(2), b * from_v.batch + h / shared * from_v.head + t * from_v.row + i);
          store(c.out(0), b * to_y.batch + h * to_y.head + s * to_y.row + i, masked ? 0 : mixed / sum);
        }
      }
}

std::optional<Lowered> lower_on_device(const Attention& op, const Heads<int64_t>& q, const Heads<int64_t>& k, const Heads<int64_t>& v, const LowerContext& c) {
  kernels::cuda::AttentionProblem p{q.batch, q.heads, q.heads / std::max<int64_t>(1, k.heads), q.rows, k.rows, q.columns, v.columns, float(op.scale), op.zero_if_masked, op.causal,
                                    strides_of(q, op.q_rows_first), strides_of(k, op.k_rows_first), strides_of(v, op.v_rows_first),
                                    strides_of({q.batch, q.heads, q.rows, v.columns}, op.y_rows_first), c.has(3)};
  if (c.kept_in(3) != DType::f32) return std::nullopt;
  p.q_type = c.kept_in(0), p.k_type = c.kept_in(1), p.v_type = c.kept_in(2), p.y_type = c.kept_out();
  if (p.masked) std::ranges::copy(broadcast_strides(c.in(3).shape(), 4), p.mask_strides);
  return engine::lower_on_device(c, &kernels::cuda::Backend::attention, p, [q = device_input(c, 0), k = device_input(c, 1), v = device_input(c, 2), mask = device_input(c, 3)](RunContext& r) {
    return kernels::cuda::AttentionArgs{q.at<void>(r), k.at<void>(r), v.at<void>(r), mask.at(r), out_at<void>(r)};
  });
}

std::optional<Lowered> lower(const Attention& op, const LowerContext& c) {
  for (size_t k = 0; k < c.node.inputs.size(); ++k)
    if (c.has(k) && c.in(k).dtype != DType::f32) return std::nullopt;
  const auto q = heads_of(c.in(0).largest(), op.q_rows_first), k = heads_of(c.in(1).largest(), op.k_rows_first), v = heads_of(c.in(2).largest(), op.v_rows_first);
  if (c.target) return lower_on_device(op, q, k, v, c);
  if (c.has(3) && (c.in(3).rank() == 0 || c.in(3).dims.back() != heads_of(c.in(1).dims, op.k_rows_first).rows)) return std::nullopt;
  if (!c.in(0).dims[3].known() || !c.in(2).dims[3].known()) return std::nullopt;  // the kernel is made for these
  auto choice = kernels::attention::select({k.rows, q.columns, v.columns, float(op.scale), 0, op.zero_if_masked}, c.isa);
  if (!choice) return std::nullopt;
  const auto scratch = int64_t(choice.kernel.scratch_bytes(q.rows));
  return Lowered{choice.name, [kernel = std::move(choice.kernel), op](RunContext& r) {
    const auto q = heads_of(r.in(0).shape, op.q_rows_first), k = heads_of(r.in(1).shape, op.k_rows_first), v = heads_of(r.in(2).shape, op.v_rows_first);
    check_extents(r, q, k, v);
    const auto floats = [&](size_t i) { return reinterpret_cast<const float*>(r.in(i).data); };
    kernels::attention::Args a{};
    a.batch = q.batch, a.heads = q.heads, a.queries = q.rows, a.keys = k.rows, a.shared = q.heads / std::max<int64_t>(1, k.heads);
    a.sight = {op.causal, k.rows - q.rows, 0};
    a.q_strides = strides_of(q, op.q_rows_first), a.k_strides = strides_of(k, op.k_rows_first, r.in(1).pitch), a.v_strides = strides_of(v, op.v_rows_first, r.in(2).pitch);
    a.y_strides = strides_of({q.batch, q.heads, q.rows, v.columns}, op.y_rows_first);
    a.q = floats(0), a.k = floats(1), a.v = floats(2), a.y = reinterpret_cast<float*>(r.out(0).data), a.scratch = r.scratch();
    if (r.has(3)) {
      const Extents mask = broadcast_strides(r.in(3).shape, 4);
      a.mask = floats(3), a.mask_strides = {mask[0], mask[1], mask[2]};
    }
    kernel.run(a, r.pool(), r.threads());
  }, scratch};
}

bool takes_room(const Attention& op, int64_t, int port) { return port == 1 ? !op.k_rows_first : port == 2 && !op.v_rows_first; }

double flops(const Attention& op, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined() || !in[1].determined() || !in[2].determined()) return 0;
  const auto q = heads_of(in[0].shape(), op.q_rows_first), k = heads_of(in[1].shape(), op.k_rows_first), v = heads_of(in[2].shape(), op.v_rows_first);
  return double(q.batch) * double(q.heads) * double(q.rows) * double(k.rows) * (2.0 * double(q.columns) + 2.0 * double(v.columns) + 5);
}
}  // namespace

const OpDef<Attention>& def(const Attention&) {
  static constexpr OpDef<Attention> def{.infer = infer, .reference = reference, .lower = lower, .bounded = true, .on_device = true, .keeps_half = true, .takes_room = takes_room, .flops = flops};
  return def;
}
}  // namespace engine
