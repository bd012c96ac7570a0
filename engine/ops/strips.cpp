// Convolutions that run as one step, by strips of rows.
#include "kernels/conv/strips.h"
#include "engine/ops/lowering.h"

namespace engine {
namespace {
namespace conv = kernels::conv;

// Where a link's bias or operand lies: in the body, or in an input of the step.
struct Source {
  ConstantPtr constant;
  size_t input = 0;
  int64_t stride = 0;
  const float* get(const RunContext& r) const {
    return reinterpret_cast<const float*>(constant ? constant->data : r.in(input).data);
  }
};
struct LinkSources {
  PackedWeight packed;
  std::optional<Source> bias;
  std::vector<Source> operands;
};
}  // namespace

bool is_strips(const Graph& body) {
  return body.nodes.size() > 1 && (body.nodes[1].op.get_if<schema::ConvLast>() || body.nodes[1].op.get_if<schema::Fused>());
}

// The first input is the x of the first convolution; others that are as large as the output are operands.
bool strips_take_pitch(const Graph& graph, const Node& node, int port) {
  const Node& first = node.bodies.at(0)->nodes.at(0);
  const auto* conv = (first.op.get_if<schema::Fused>() ? first.bodies.at(0)->nodes.at(0) : first).op.get_if<schema::ConvLast>();
  if (port <= 0) return port == -1 || !conv->planar_input;
  return graph[node.inputs[size_t(port)]].type == graph[node.outputs[0]].type;
}

std::optional<Lowered> lower_strips(const LowerContext& c) {
  const Graph& body = *c.node.bodies.at(0);
  std::vector<Inside> inside(body.values.size());
  for (size_t k = 0; k < body.inputs.size(); ++k) inside[size_t(body.inputs[k])].pitch = c.in_pitch(k);
  inside[size_t(body.outputs.at(0).value)].pitch = c.out_pitch();
  const auto source = [&](ValueId v, int64_t stride) {
    const size_t input = size_t(std::ranges::find(body.inputs, v) - body.inputs.begin());
    return Source{body[v].constant, input, stride};
  };

  // What lies between two links is kept as half, where both take it: one that does not takes back what it writes, or else what it reads.
  std::vector<DType> kept;
  for (const Value& v : body.values) kept.push_back(v.type.dtype);
  for (size_t k = 0; k < body.inputs.size(); ++k) kept[size_t(body.inputs[k])] = c.kept_in(k);
  const auto written = [&](size_t link) -> DType& { return kept[size_t(body.nodes[link].outputs.at(0))]; };
  const size_t last = body.nodes.size() - 1;
  for (size_t i = 0; c.precision == kernels::Precision::f16 && i < last; ++i) written(i) = DType::f16;
  written(last) = c.kept_out();

  std::vector<conv::Link> links;
  std::vector<LinkSources> sources;
  int64_t batch = 0, height = 0;
  while (links.size() <= last) {
    const size_t i = links.size();
    const Node& node = body.nodes[i];
    const bool fused = node.op.get_if<schema::Fused>();
    const Node anchor = fused ? anchor_of(node) : node;
    const auto chained = fused ? epilogue_of({body, node, c.isa, c.strict, inside, nullptr, nullptr, c.precision, kept}) : Chained();
    const auto* op = anchor.op.get_if<schema::ConvLast>();
    if (!chained || !op) return std::nullopt;
    const auto prepared = prepare_conv(*op, {body, anchor, c.isa, c.strict, inside, nullptr, c.packing, c.precision, kept}, *chained, true);
    if (!prepared) {
      if (i < last && written(i) != DType::f32) written(i) = DType::f32;
      else if (i && written(i - 1) != DType::f32) written(i - 1) = DType::f32;
      else return std::nullopt;
      links.clear(), sources.clear();
      continue;
    }
    LinkSources& from = sources.emplace_back();
    from.packed = prepared->packed;
    if (prepared->spec.bias) from.bias = source(anchor.inputs[2], 0);
    for (size_t k = 0; k < chained->inputs.size(); ++k) from.operands.push_back(source(node.inputs[chained->inputs[k]], chained->strides[k]));
    if (links.empty()) batch = prepared->batch, height = prepared->height;
    links.push_back({prepared->spec, prepared->kernel});
  }
  if (!conv::Strips::refusal(links).empty()) return std::nullopt;
  conv::Strips strips(std::move(links));
  const size_t scratch = strips.scratch_bytes();
  return Lowered{"conv_strips", [strips = std::move(strips), sources = std::move(sources), batch, height](RunContext& r) {
    std::array<kernels::pointwise::Operands, conv::Strips::most> operands;
    std::array<conv::StripArgs::Weights, conv::Strips::most> weights;
    for (size_t i = 0; i < sources.size(); ++i) {
      const LinkSources& from = sources[i];
      for (size_t k = 0; k < from.operands.size(); ++k) operands[i][k] = {from.operands[k].get(r), from.operands[k].stride};
      weights[i] = {from.packed.get(), from.bias ? from.bias->get(r) : nullptr, operands[i].data()};
    }
    strips.run({.x = reinterpret_cast<const float*>(r.in(0).data), .weights = weights.data(), .y = reinterpret_cast<float*>(r.out(0).data),
                .batch = batch, .height = height, .scratch = r.scratch()}, r.pool(), r.threads());
  }, int64_t(scratch)};
}
}  // namespace engine
