#include "engine/image_decoder.h"
#include "engine/op.h"

namespace engine {
namespace {
using schema::ImageDecoder, schema::PixelOrder;

Types infer(const ImageDecoder& op, const InferContext& in) {
  require(has_image_decoder(), Code::unsupported,
          "this build decodes no pictures: it was configured with INLAY_IMAGE_DECODER=OFF");
  in.expect_inputs(1, 1);
  in.expect_dtype(0, {DType::u8});
  in.expect_rank(0, 1);
  return {Type::tensor(DType::u8, {Dim::unknown(), Dim::unknown(), op.order == PixelOrder::grey ? 1 : 3})};
}

void reference(const ImageDecoder& op, RunContext& c) {
  const bool grey = op.order == PixelOrder::grey;
  View y;
  uint8_t* rgb = nullptr;
  decode_image(c.in(0).as<std::byte>(), [&](int64_t height, int64_t width) {
    const int64_t shape[] = {height, width, grey ? 1 : 3};
    y = c.set_out(0, DType::u8, shape);
    return rgb = grey ? c.workspace<uint8_t>(size_t(height * width * 3)).data() : reinterpret_cast<uint8_t*>(y.data);
  });
  const int64_t pixels = y.shape[0] * y.shape[1];
  if (op.order == PixelOrder::bgr)
    for (int64_t i = 0; i < pixels; ++i) std::swap(rgb[3 * i], rgb[3 * i + 2]);
  // BT.601's luma in 16 bits behind the point, of which grey keeps its value.
  auto* const to = reinterpret_cast<uint8_t*>(y.data);
  for (int64_t i = 0; grey && i < pixels; ++i)
    to[i] = uint8_t((19595 * rgb[3 * i] + 38470 * rgb[3 * i + 1] + 7471 * rgb[3 * i + 2] + (1 << 15)) >> 16);
}
}  // namespace

const OpDef<ImageDecoder>& def(const ImageDecoder&) {
  static constexpr OpDef<ImageDecoder> def{.infer = infer, .reference = reference};
  return def;
}
}  // namespace engine
