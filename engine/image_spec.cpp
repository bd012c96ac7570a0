#include "engine/image_spec.h"
#include <algorithm>
#include <array>
#include <charconv>

namespace engine {
namespace {
using namespace kernels::image;

constexpr std::string_view orders[] = {"rgb", "bgr", "grey"};
constexpr std::string_view filters[] = {"bilinear", "bicubic", "bilinear_aliased", "nearest"};
constexpr std::string_view keys[] = {"resize", "letterbox", "fill", "crop", "filter", "scale", "mean", "std"};

std::string list(std::span<const std::string_view> names) {
  std::string all;
  for (std::string_view name : names) all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

template <class T> T number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fail(Code::invalid_argument, "'", text, "' is not a number");
  return value;
}

template <class T> std::vector<T> numbers(std::string_view text, char separator) {
  std::vector<T> values;
  while (true) {
    const size_t end = std::min(text.find(separator), text.size());
    values.push_back(number<T>(text.substr(0, end)));
    if (end == text.size()) return values;
    text.remove_prefix(end + 1);
  }
}

class SpecParser {
 public:
  ImageSpec parse(std::string_view text) {
    while (true) {
      const size_t end = std::min(text.find(','), text.size());
      item(text.substr(0, end));
      if (end == text.size()) break;
      text.remove_prefix(end + 1);
    }
    channels(mean_, "mean", spec_.mean), channels(std_, "std", spec_.std);
    if (given("fill") && spec_.resize != Resize::letterbox)
      fail(Code::invalid_argument, "fill is the colour around a letterbox, and there is none");
    if (const std::string reason = refusal(spec_); !reason.empty()) fail(Code::invalid_argument, reason);
    return spec_;
  }

 private:
  void item(std::string_view text) {
    const size_t colon = text.find(':');
    const std::string_view key = text.substr(0, colon);
    if (const auto order = std::ranges::find(orders, text); order != std::end(orders)) {
      once("the channels"), spec_.order = Order(order - orders);
    } else if (colon == std::string_view::npos || std::ranges::find(keys, key) == std::end(keys)) {
      fail(Code::invalid_argument, "'", text, "' is none of ", list(orders), ", or of ", list(keys),
           " with a ':' and a value");
    } else {
      once(key);
      with_context([&] { set(key, text.substr(colon + 1)); }, key);
    }
  }

  void set(std::string_view key, std::string_view value) {
    if (key == "resize" || key == "letterbox") {
      if (spec_.resize != Resize::none) fail(Code::invalid_argument, "there is another size before it");
      const auto [width, height] = size(value);
      const bool shorter = key == "resize" && height == 0;
      spec_.resize = shorter ? Resize::shorter : key == "resize" ? Resize::stretch : Resize::letterbox;
      spec_.width = width, spec_.height = shorter ? 0 : height ? height : width;
    } else if (key == "crop") {
      const auto [width, height] = size(value);
      spec_.crop_width = width, spec_.crop_height = height ? height : width;
    } else if (key == "filter") {
      const auto filter = std::ranges::find(filters, value);
      if (filter == std::end(filters)) fail(Code::invalid_argument, "'", value, "' is none of ", list(filters));
      spec_.filter = Filter(filter - filters);
    } else if (key == "fill") {
      spec_.fill = number<float>(value);
    } else if (key == "scale") {
      const auto parts = numbers<float>(value, '/');
      if (parts.size() > 2) fail(Code::invalid_argument, "'", value, "' is not a number or one divided by another");
      spec_.scale = parts.size() == 2 ? parts[0] / parts[1] : parts[0];
    } else {
      (key == "mean" ? mean_ : std_) = numbers<float>(value, '/');
    }
  }

  // Height 0: one number alone.
  static Extent size(std::string_view text) {
    const auto parts = numbers<int64_t>(text, 'x');
    if (parts.size() > 2 || !std::ranges::all_of(parts, [](int64_t n) { return n >= 1 && n <= max_extent; }))
      fail(Code::invalid_argument, "'", text, "' is not a size such as 224x224, from 1 to ", max_extent);
    return {parts[0], parts.size() == 2 ? parts[1] : 0};
  }

  void channels(const std::vector<float>& values, const char* key, float* to) const {
    const auto count = size_t(spec_.channels());
    if (values.empty()) return;
    if (values.size() != 1 && values.size() != count)
      fail(Code::invalid_argument, key, ": there are ", values.size(), " numbers for ", count,
           count == 1 ? " channel" : " channels");
    for (size_t c = 0; c < count; ++c) to[c] = values[values.size() == 1 ? 0 : c];
  }

  bool given(std::string_view key) const { return std::ranges::find(given_, key) != given_.end(); }
  void once(std::string_view key) {
    if (given(key)) fail(Code::invalid_argument, key, ": given twice");
    given_.push_back(key);
  }

  ImageSpec spec_;
  std::vector<float> mean_, std_;
  std::vector<std::string_view> given_;
};

std::string text_of(float value) {
  char text[40];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}
std::string text_of(const float* values, int count) {
  std::string text;
  for (int c = 0; c < count; ++c) text.append(c ? "/" : "").append(text_of(values[c]));
  return text;
}

// Where the picture is in a tensor of the type.
struct Form {
  size_t batch;  // dims before the picture's: 0 or 1
  bool channels_last;
  size_t height() const { return channels_last ? batch : batch + 1; }
  size_t channels() const { return channels_last ? batch + 2 : batch; }
};

bool fits(const Dim& d, int64_t extent) {
  return d.known() ? d.value() == extent : d.lower() <= extent && extent <= d.upper();
}

Form form_of(const ImageSpec& spec, const Type& type) {
  const auto refuse = [&](const auto&... why) {
    fail(Code::invalid_argument, "no picture becomes ", type, ": ", why...);
  };
  if (!type.is_tensor() || (type.dtype != DType::f32 && type.dtype != DType::f16 && type.dtype != DType::u8))
    refuse("it is made of f32, f16 or u8");
  if (!type.ranked || type.rank() < 3 || type.rank() > 4) refuse("it has 3 dims, or 4 with a batch");
  const Form first{size_t(type.rank() - 3), false}, last{first.batch, true};
  if (first.batch && !fits(type.dims[0], 1)) refuse("it is a batch of one");
  const int64_t channels = spec.channels();
  const Dim &front = type.dims[first.channels()], &back = type.dims[last.channels()];
  const bool in_front = fits(front, channels), behind = fits(back, channels);
  if (!in_front && !behind)
    refuse("'", orders[size_t(spec.order)], "' has ", channels, channels == 1 ? " channel" : " channels");
  if (type.dtype == DType::u8 && !std::ranges::equal(spec.mean, ImageSpec().mean))
    refuse("u8 takes levels, without a mean");
  if (type.dtype == DType::u8 && !std::ranges::equal(spec.std, ImageSpec().std))
    refuse("u8 takes levels, without a std");
  if (type.dtype == DType::u8 && spec.scale != ImageSpec().scale) refuse("u8 takes levels, without a scale");
  // A number says more than an extent that is open.
  return behind && (!in_front || (!front.known() && back.known())) ? last : first;
}

bool fits(const Form& form, const Type& type, Extent extent) {
  return fits(type.dims[form.height()], extent.height) && fits(type.dims[form.height() + 1], extent.width);
}
}  // namespace

ImageSpec parse_image_spec(std::string_view text) {
  return with_context([&] { return SpecParser().parse(text); }, "image spec '", text, "'");
}

std::string to_text(const ImageSpec& s) {
  const ImageSpec defaults;
  std::string text(orders[size_t(s.order)]);
  const auto add = [&](const char* key, const auto&... value) { text += cat(',', key, ':', value...); };
  switch (s.resize) {
    case Resize::none: break;
    case Resize::stretch: add("resize", s.width, 'x', s.height); break;
    case Resize::shorter: add("resize", s.width); break;
    case Resize::letterbox: add("letterbox", s.width, 'x', s.height); break;
  }
  if (s.resize == Resize::letterbox && s.fill != defaults.fill) add("fill", text_of(s.fill));
  if (s.crop_width) add("crop", s.crop_width, 'x', s.crop_height);
  if (s.filter != defaults.filter) add("filter", filters[size_t(s.filter)]);
  if (s.scale != defaults.scale) add("scale", text_of(s.scale));
  if (!std::ranges::equal(s.mean, defaults.mean)) add("mean", text_of(s.mean, s.channels()));
  if (!std::ranges::equal(s.std, defaults.std)) add("std", text_of(s.std, s.channels()));
  return text;
}

void check_image_spec(const ImageSpec& spec, const Type& type) {
  if (const std::string reason = refusal(spec); !reason.empty()) fail(Code::invalid_argument, reason);
  const Form form = form_of(spec, type);
  Extent extent{spec.crop_width, spec.crop_height};
  if (!spec.crop_width && (spec.resize == Resize::stretch || spec.resize == Resize::letterbox))
    extent = {spec.width, spec.height};
  if (extent.width && !fits(form, type, extent))
    fail(Code::invalid_argument, "the picture becomes ", extent.width, "x", extent.height,
         " pixels (width x height), which are not the input's, ", type);
}

void set_image(Value& input, const ImageSpec& spec) {
  check_image_spec(spec, input.type);
  input.image = std::make_shared<const ImageSpec>(spec);
}

ConstView PictureTensor::make(const ImageSpec& spec, const Type& type, const Picture& picture,
                              kernels::ThreadPool& pool, int threads) {
  if (const std::string reason = refusal(spec, picture); !reason.empty()) fail(Code::invalid_argument, reason);
  const Form form = form_of(spec, type);
  const Extent extent = output_extent(spec, picture.width, picture.height);
  if (!fits(form, type, extent))
    fail(Code::invalid_argument, "a picture of ", picture.width, "x", picture.height, " pixels becomes one of ",
         extent.width, "x", extent.height, ", but the model wants ", type,
         spec.resize == Resize::none && !spec.crop_width ? "; its image spec may resize it" : "");
  if (!kernel_) kernel_ = select(spec, isa_).kernel;
  std::array<int64_t, 4> shape{1, 1, 1, 1};
  shape[form.channels()] = spec.channels();
  shape[form.height()] = extent.height, shape[form.height() + 1] = extent.width;
  const View view = tensor_.set_tensor(type.dtype, std::span(shape).first(form.batch + 3));
  kernel_.run(picture, spec, {view.data, type.dtype, form.channels_last}, scratch_, pool, threads);
  return view;
}
}  // namespace engine
