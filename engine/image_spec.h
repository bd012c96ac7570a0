// How a picture becomes the tensor of an input. It is part of the model, but not of its graph: a picture of another
// size needs no other plan.
//
//   rgb,resize:256,crop:224,mean:0.485/0.456/0.406,std:0.229/0.224/0.225
//
// A list in any order of
//   rgb | bgr | grey         the channels, rgb unless given
//   resize:WxH | resize:N    to a size, or the shorter side to N
//   letterbox:WxH            in proportion into a size; fill:LEVEL around it, 114 unless given
//   crop:WxH                 the middle, after resizing
//   filter:bilinear | bicubic | bilinear_aliased | nearest    the first unless given
//   scale:F | scale:F/F      what levels (0 to 255) are multiplied by, 1/255 unless given
//   mean:F/F/F, std:F/F/F    then subtracted, and divided by; one number serves all channels
// where N stands for NxN in crop and letterbox. An input of u8 takes levels: scale, mean and std are not for it.
#pragma once
#include "engine/graph.h"
#include "kernels/image/image.h"

namespace engine {
using ImageSpec = kernels::image::Preprocess;
using kernels::image::Picture;

// Throws invalid_argument, naming what is wrong with the text.
ImageSpec parse_image_spec(std::string_view);
std::string to_text(const ImageSpec&);  // what differs from the defaults

// Throws unless some picture becomes a tensor of this type: [N,C,H,W], [N,H,W,C], or either without N, of f32, f16 or
// u8. What is open in the type may be anything; N is 1.
void check_image_spec(const ImageSpec&, const Type&);
// Checks it, and keeps it with the input.
void set_image(Value& input, const ImageSpec&);

// The tensor made of the latest picture, and the memory for it: for a second picture of a size, nothing is allocated.
class PictureTensor {
 public:
  explicit PictureTensor(kernels::isa::Mask isa = kernels::isa::detected()) : isa_(isa) {}
  // Throws, the tensor as it was, unless the picture becomes a tensor of the type. Valid until the next call.
  ConstView make(const ImageSpec&, const Type&, const Picture&, kernels::ThreadPool&, int threads);
  Object take() && { return std::move(tensor_); }

 private:
  kernels::isa::Mask isa_;
  kernels::image::Kernel kernel_;
  kernels::image::Scratch scratch_;
  Object tensor_;
};
}  // namespace engine
