#include "engine/ops/device_copies.h"
#include "engine/device_lowering.h"

namespace engine {
using kernels::cuda::CopyProblem;

std::optional<Lowered> lower_copies(const LowerContext& c, std::span<const StridedCopy> copies) {
  const Device& device = *c.target->device;
  struct Piece {
    const kernels::cuda::Row<CopyProblem, kernels::cuda::CopyArgs>* row;
    CopyProblem problem;
    DeviceInput from;
    size_t output;
  };
  std::vector<Piece> pieces;
  for (const StridedCopy& copy : copies) {
    const Nest<2> nest = copy.nest.merged();
    const int bits = bits_of(c.kept_out(copy.output));
    if (product(nest.extents) == 0) continue;
    if (bits % 8 || c.kept_in(copy.input) != c.kept_out(copy.output) || nest.extents.size() > size_t(CopyProblem::most_dims)) return std::nullopt;
    CopyProblem p{.element_bytes = bits / 8, .dims = int(nest.extents.size()), .x_first = copy.first[1], .y_first = copy.first[0]};
    for (size_t d = 0; d < nest.extents.size(); ++d) p.extents[d] = nest.extents[d], p.y_strides[d] = nest.strides[0][d], p.x_strides[d] = nest.strides[1][d];
    const auto* row = kernels::cuda::select(device.backend().copy, p, device.sm());
    if (!row) return std::nullopt;
    pieces.push_back({row, p, device_input(c, copy.input), copy.output});
  }
  return Lowered{pieces.empty() ? "nothing" : pieces[0].row->name, [pieces = std::move(pieces)](RunContext& r) {
    for (const Piece& piece : pieces) require_done(piece.row->run(piece.problem, {piece.from.at<void>(r), r.out(piece.output).data}, r.stream_));
  }};
}

std::optional<Lowered> lower_strided(const LowerContext& c, const Extents& strides, int64_t first) {
  const Extents extents(c.out(0).shape());
  const StridedCopy copy{0, 0, {extents, {dense_strides(extents), strides}}, {0, first}};
  return lower_copies(c, std::span(&copy, 1));
}
}  // namespace engine
