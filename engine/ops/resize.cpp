#include "engine/ops/doubles.h"
#include "engine/ops/spatial.h"
#include "engine/device_lowering.h"
#include "kernels/resize/resize.h"

namespace engine {
namespace {
using schema::Resize, schema::ResizeAspect, schema::ResizeCoordinates, schema::ResizeMode, schema::ResizeNearest;

// One dim of x: how it is sampled.
struct Axis {
  Dim out;
  double scale = 1;
  double width = 0;             // the output's extent before it is rounded, if the scale was given
  double start = 0, end = 1;    // of the region of interest
  bool resized = false;
};

// What the small inputs say, as far as they are known. Empty: not given.
struct Request {
  Scratch<double> roi, scales;
  Dims sizes;
};

// How each dim of x is resized; out extents are unknown where those of x are.
std::vector<Axis> resized_axes(const Resize& op, const Dims& x, const Request& request) {
  const int64_t rank = int64_t(x.size());
  std::vector<int64_t> axes;
  for (int64_t axis : op.axes) {
    axes.push_back(normal_axis(axis, rank));
    check(std::ranges::count(axes, axes.back()) == 1, "axis ", axis, " is named twice");
  }
  for (int64_t k = 0; op.axes.empty() && k < rank; ++k) axes.push_back(k);
  const size_t n = axes.size();
  check(request.scales.empty() != request.sizes.empty() || n == 0, "either scales or sizes must be given");
  check(request.scales.empty() || request.scales.size() == n, "there are ", request.scales.size(), " scales for ", n, " axes");
  check(request.sizes.empty() || request.sizes.size() == n, "there are ", request.sizes.size(), " sizes for ", n, " axes");
  const bool crop = op.coordinates == ResizeCoordinates::tf_crop_and_resize;
  check(!crop || request.roi.size() == 2 * n, "the region of interest has ", request.roi.size(), " entries where ", 2 * n, " are needed");
  std::vector<Axis> all(x.size());
  for (int64_t k = 0; k < rank; ++k) all[k].out = x[k];
  double common = 0;  // the scale that keeps the aspect ratio
  bool common_known = true;
  for (size_t i = 0; i < n; ++i) {
    const Dim& in = x[axes[i]];
    Axis& axis = all[axes[i]];
    if (crop) axis.start = request.roi[i], axis.end = request.roi[i + n];
    if (!request.scales.empty()) {
      axis.scale = request.scales[i];
      check(axis.scale > 0 && std::isfinite(axis.scale), "scale ", axis.scale, " is not a positive number");
      axis.width = in.known() ? double(float(axis.scale) * float(in.value())) : 0;
      check(axis.width <= double(limits::extent), "scale ", axis.scale, " makes ", in.text(), " too large");
      axis.out = in.known() ? Dim(int64_t(axis.width)) : axis.scale == std::floor(axis.scale) && axis.scale < 1e6 ? in * int64_t(axis.scale) : Dim::unknown();
    } else {
      const Dim& size = request.sizes[i];
      check(!size.known() || (size.value() >= 0 && size.value() <= limits::extent), "size ", size.text(), " is out of range");
      check(!size.known() || in != Dim(0) || size == Dim(0), "an extent of 0 cannot become ", size.text());
      axis.out = size;
      if (size.known() && in.known()) {
        axis.scale = in.value() ? double(size.value()) / double(in.value()) : 1;
        common = i == 0 ? axis.scale : op.aspect == ResizeAspect::not_larger ? std::min(common, axis.scale) : std::max(common, axis.scale);
      } else {
        common_known = false;
      }
    }
    axis.resized = crop || axis.scale != 1;
  }
  if (request.sizes.empty() || op.aspect == ResizeAspect::stretch) return all;
  for (int64_t k : axes) {
    const bool known = common_known && x[k].known();
    check(!known || common * double(x[k].value()) <= double(limits::extent), "the result is too large");
    all[k].out = known ? Dim(int64_t(std::floor(common * double(x[k].value()) + 0.5))) : Dim::unknown();
    if (known) all[k].scale = common, all[k].width = common * double(x[k].value()), all[k].resized = crop || common != 1;
  }
  return all;
}

Scratch<double> doubles_of(const ConstantPtr& c) { return c ? to_doubles(c->view()) : Scratch<double>(); }

// An input that is there with no elements is one that is not given.
bool given(const InferContext& in, size_t k) {
  return in.has(k) && !(in.in(k).ranked && in.in(k).rank() == 1 && in.in(k).dims[0] == Dim(0));
}

Types infer(const Resize& op, const InferContext& in) {
  in.expect_inputs(1, 4);
  in.expect_tensor(0);
  const Type& x = in.in(0);
  check(op.mode == ResizeMode::nearest || (x.dtype != DType::string && x.dtype != DType::boolean), name(op.mode), " is not defined for ", name(x.dtype));
  for (size_t k = 1; k <= 2; ++k)
    if (in.has(k)) in.expect_class(k, schema::DTypeClass::real);
  if (in.has(3)) in.expect_dtype(3, {DType::i64});
  for (size_t k = 1; k <= 3; ++k) check(!in.has(k) || !in.in(k).ranked || in.in(k).rank() == 1, "input ", k, " must have rank 1");
  check(given(in, 2) != given(in, 3) || (!in.in(0).ranked || in.in(0).rank() == 0), "either scales or sizes must be given");
  if (!x.ranked) return {Type::unranked(x.dtype)};
  Dims unknown = x.dims;
  for (size_t k = 0; k < unknown.size(); ++k)
    if (op.axes.empty() || std::ranges::any_of(op.axes, [&](int64_t a) { return normal_axis(a, x.rank()) == int64_t(k); })) unknown[k] = Dim::unknown();
  const bool crop = op.coordinates == ResizeCoordinates::tf_crop_and_resize;
  check(!crop || in.has(1), "tf_crop_and_resize needs a region of interest");
  Request request{crop ? doubles_of(in.constant(1)) : Scratch<double>(), {}, {}};
  if (crop && request.roi.empty()) request.roi.assign(2 * (op.axes.empty() ? x.dims.size() : op.axes.size()), 0);  // the extents do not depend on it
  if (given(in, 3)) {
    const auto sizes = in.ints(3);
    if (!sizes) return {Type::tensor(x.dtype, unknown)};
    request.sizes = *sizes;
  } else if (given(in, 2)) {
    if (!in.constant(2)) return {Type::tensor(x.dtype, unknown)};
    request.scales = doubles_of(in.constant(2));
  }
  Dims out;
  for (const Axis& axis : resized_axes(op, x.dims, request)) out.push_back(axis.out);
  return {Type::tensor(x.dtype, out)};
}

// Where in x the output at o lies.
double coordinate(const Resize& op, const Axis& a, int64_t in, int64_t o) {
  const double out = double(a.out.value()), width = a.width > 0 ? a.width : out, last = double(in - 1), half = (double(o) + 0.5) / a.scale - 0.5;
  switch (op.coordinates) {
    case ResizeCoordinates::half_pixel: return half;
    case ResizeCoordinates::half_pixel_symmetric: return double(in) / 2 * (1 - out / width) + half;
    case ResizeCoordinates::pytorch_half_pixel: return out > 1 ? half : 0;
    case ResizeCoordinates::align_corners: return width == 1 ? 0 : double(o) * last / (width - 1);
    case ResizeCoordinates::asymmetric: return double(o) / a.scale;
    case ResizeCoordinates::tf_crop_and_resize: break;
  }
  return a.start * last + (width == 1 ? (a.end - a.start) * last / 2 : double(o) * (a.end - a.start) * last / (width - 1));
}

// Output o is the sum of weight[t] * x[index[t]] for t in [first[o], first[o + 1]); with no t, it lies outside.
struct Table {
  std::vector<int64_t> first{0}, index;
  Scratch<double> weight;
};

Table table(const Resize& op, const Axis& a, int64_t in) {
  Table table;
  const bool cubic = op.mode == ResizeMode::cubic;
  const double k = op.cubic_a, squeeze = op.antialias ? std::min(a.scale, 1.0) : 1.0;
  const auto kernel = [&](double t) {
    t = std::fabs(t);
    if (!cubic) return std::max(0.0, 1 - t);
    return t <= 1 ? ((k + 2) * t - (k + 3)) * t * t + 1 : t < 2 ? ((k * t - 5 * k) * t + 8 * k) * t - 4 * k : 0;
  };
  const int64_t before = int64_t(std::floor((cubic ? -2 : -1) / squeeze)) + 1;
  for (int64_t o = 0; o < a.out.value(); ++o, table.first.push_back(int64_t(table.index.size()))) {
    double at = a.resized ? coordinate(op, a, in, o) : double(o);
    if (op.coordinates == ResizeCoordinates::tf_crop_and_resize && a.resized && !(at >= 0 && at <= double(in - 1))) continue;
    at = std::clamp(at, -double(in) - 4, 2 * double(in) + 4);
    if (op.mode == ResizeMode::nearest) {
      // A coordinate that misses a whole number or a tie by what f32 cannot tell in x's extent is one.
      const double unit = std::ldexp(1.0, std::ilogb(double(std::max<int64_t>(in, 1))) - 23);
      at = std::nearbyint(at / unit) * unit;
      const double place = op.nearest == ResizeNearest::floor ? std::floor(at) : op.nearest == ResizeNearest::ceil ? std::ceil(at)
                           : op.nearest == ResizeNearest::round_prefer_floor ? std::ceil(at - 0.5) : std::floor(at + 0.5);
      table.index.push_back(std::clamp(int64_t(place), int64_t{0}, in - 1));
      table.weight.push_back(1);
      continue;
    }
    const int64_t base = int64_t(std::ceil(at)) - 1, begin = base + before, end = base + 2 - before;
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double w = op.exclude_outside && (i < 0 || i >= in) ? 0 : kernel((double(i) - at) * squeeze);
      if (w == 0) continue;
      sum += w;
      table.index.push_back(std::clamp(i, int64_t{0}, in - 1));
      table.weight.push_back(w);
    }
    for (size_t t = size_t(table.first.back()); t < table.weight.size(); ++t) table.weight[t] /= sum;
  }
  return table;
}

// Copies elements, for every dtype: rows of the dims behind the last one that is resized stay together.
void nearest(const Resize& op, const std::vector<Axis>& axes, const ConstView& x, const View& y) {
  size_t dims = axes.size();
  int64_t run = 1;
  while (dims > 0 && !axes[dims - 1].resized) run *= x.shape[--dims];
  std::vector<Table> tables;
  for (size_t d = 0; d < dims; ++d) tables.push_back(table(op, axes[d], x.shape[d]));
  Shape at(dims, 0);
  for (int64_t o = 0, n = run ? y.elements() / run : 0; o < n; ++o) {
    int64_t from = 0;
    bool outside = false;
    for (size_t d = 0; d < dims; ++d) {
      const int64_t t = tables[d].first[at[d]];
      outside |= t == tables[d].first[at[d] + 1];
      from = from * x.shape[d] + (outside ? 0 : tables[d].index[t]);
    }
    if (!outside) copy_elements(y, o * run, x, from * run, run);
    else if (x.dtype != DType::string) store_doubles(y, o * run, Scratch<double>(size_t(run), op.extrapolation));
    for (size_t d = dims; d-- > 0 && ++at[d] == axes[d].out.value();) at[d] = 0;
  }
}

// Weighted sums, one dim after the other, the last first.
void weighted(const Resize& op, const std::vector<Axis>& axes, const ConstView& x, const View& y) {
  Scratch<double> from = to_doubles(x), to;
  Shape shape = shape_of(x);
  for (size_t d = axes.size(); d-- > 0;) {
    if (!axes[d].resized) continue;
    const Table rows = table(op, axes[d], shape[d]);
    const int64_t in = shape[d], out = axes[d].out.value(), outer = elements(std::span(shape).first(d)), inner = elements(std::span(shape).subspan(d + 1));
    shape[d] = out;
    bytes_of(DType::f64, shape);
    to.assign(size_t(outer * out * inner), 0);
    for (int64_t p = 0; p < outer; ++p)
      for (int64_t o = 0; o < out; ++o) {
        double* __restrict sum = to.data() + (p * out + o) * inner;
        if (rows.first[o] == rows.first[o + 1]) std::fill_n(sum, inner, op.extrapolation);
        for (int64_t t = rows.first[o]; t < rows.first[o + 1]; ++t) {
          const double w = rows.weight[t], *__restrict row = from.data() + (p * in + rows.index[t]) * inner;
          for (int64_t i = 0; i < inner; ++i) sum[i] += w * row[i];
        }
      }
    from.swap(to);
  }
  store_doubles(y, 0, from);
}

void reference(const Resize& op, RunContext& c) {
  const ConstView& x = c.in(0);
  Request request;
  if (op.coordinates == ResizeCoordinates::tf_crop_and_resize) request.roi = to_doubles(c.in(1));
  if (c.has(2)) request.scales = to_doubles(c.in(2));
  if (c.has(3))
    for (int64_t size : to_ints(c.in(3))) request.sizes.push_back(size);
  const auto axes = resized_axes(op, Dims(x.shape.begin(), x.shape.end()), request);
  Shape shape;
  for (const Axis& axis : axes) shape.push_back(axis.out.value());
  const View y = c.set_out(0, x.dtype, shape);
  if (y.elements() == 0) return;
  if (op.mode == ResizeMode::nearest) nearest(op, axes, x, y);
  else weighted(op, axes, x, y);
}

std::optional<Lowered> lower_resize_on_device(const kernels::resize::Spec& s, const LowerContext& c) {
  struct Tables {
    DeviceInput first, index, weight;
    Tables(const kernels::resize::Axis& a, const LowerContext& c)
        : first(device_table(c, std::as_bytes(std::span(a.first)))), index(device_table(c, std::as_bytes(std::span(a.index)))), weight(device_table(c, std::as_bytes(std::span(a.weight)))) {}
    kernels::cuda::ResizeAxis at(const RunContext& r) const { return {first.at<int64_t>(r), index.at<int64_t>(r), weight.at(r)}; }
  };
  if (s.copies() && c.kept_in(0) != c.kept_out()) return std::nullopt;
  const kernels::cuda::ResizeProblem problem{bits_of(c.kept_in(0)) / 8, s.outer, s.height, s.width, s.inner, s.rows.outputs(), s.columns.outputs(), s.copies(), c.kept_in(0), c.kept_out()};
  return lower_on_device(c, &kernels::cuda::Backend::resize, problem, [x = device_input(c, 0), rows = Tables(s.rows, c), columns = Tables(s.columns, c)](RunContext& r) {
    return kernels::cuda::ResizeArgs{x.at<void>(r), out_at<void>(r), rows.at(r), columns.at(r)};
  });
}

// For at most two dims that are resized, next to each other; tables are made once.
std::optional<Lowered> lower(const Resize& op, const LowerContext& c) {
  const Type& x = c.in(0);
  const bool nearest = op.mode == ResizeMode::nearest;
  if (op.coordinates == ResizeCoordinates::tf_crop_and_resize || elements(c.out(0).shape()) == 0) return std::nullopt;
  if (x.dtype == DType::string || bits_of(x.dtype) % 8 || (!nearest && x.dtype != DType::f32)) return std::nullopt;
  Request request;
  if (const Constant* scales = c.constant(2)) request.scales = to_doubles(scales->view());
  if (const Constant* sizes = c.constant(3))
    for (int64_t size : to_ints(sizes->view())) request.sizes.push_back(size);
  if (request.scales.empty() == request.sizes.empty()) return std::nullopt;
  const auto axes = resized_axes(op, x.dims, request);
  const Shape shape = x.shape();
  size_t first = 0, last = shape.size();  // from the first dim that is resized to behind the last one
  while (first < last && !axes[first].resized) ++first;
  while (last > first && !axes[last - 1].resized) --last;
  if (last - first > 2) return std::nullopt;
  const std::span extents(shape);
  kernels::resize::Spec spec{bits_of(x.dtype) / 8, elements(extents.first(first)), 1, 1, elements(extents.subspan(last)), {{0, 1}, {0}, {1}}, {{0, 1}, {0}, {1}}};
  const auto resample = [&](size_t d, int64_t& extent, kernels::resize::Axis& to) {
    Table from = table(op, axes[d], shape[d]);
    extent = shape[d];
    to = {std::move(from.first), std::move(from.index), std::vector<float>(from.weight.begin(), from.weight.end())};
  };
  if (last - first == 2) resample(first, spec.height, spec.rows);
  if (last > first) resample(last - 1, spec.width, spec.columns);
  if (c.target) return lower_resize_on_device(spec, c);
  auto choice = kernels::resize::select(spec, c.isa);
  if (!choice) return std::nullopt;
  return Lowered{choice.name, [kernel = std::move(choice.kernel)](RunContext& r) { kernel.run(r.in(0).data, r.out(0).data, r.pool(), r.threads()); }};
}

// A resize by a scale of 1 throughout is x.
void simplify(const Resize& op, NodeId n, Rewriter& rewriter) {
  const Graph& graph = rewriter.graph;
  const Node& node = graph[n];
  if (op.coordinates == ResizeCoordinates::tf_crop_and_resize || node.inputs.size() < 3 || node.inputs[2] == ValueId::none) return;
  const Scratch<double> scales = doubles_of(graph[node.inputs[2]].constant);
  if (!scales.empty() && std::ranges::count(scales, 1) == int64_t(scales.size())) rewriter.replace(node.outputs[0], node.inputs[0]);
}
}  // namespace

const OpDef<Resize>& def(const Resize&) {
  static constexpr OpDef<Resize> def{.infer = infer,
                                     .reference = reference,
                                     .lower = lower,
                                     .on_device = true,
                                     .keeps_half = true,
                                     .simplify = simplify,
                                     .sized_by = 1u << 2 | 1u << 3};
  return def;
}
}  // namespace engine
