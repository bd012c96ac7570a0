// Image specs: their text, what they fit, how they are kept with a model, and pictures given to sessions.
#include "engine/image_spec.h"
#include "engine/graph_text.h"
#include "engine/passes/passes.h"
#include "inlay.pb.h"
#include "tests/engine/stored_graph.h"

namespace engine {
namespace {
using namespace test;
using kernels::image::Filter, kernels::image::Order, kernels::image::PixelFormat, kernels::image::Resize;

TEST(ImageSpec, TextSaysEverything) {
  const ImageSpec imagenet = parse_image_spec("rgb,resize:256,crop:224,mean:0.485/0.456/0.406,std:0.229/0.224/0.225");
  EXPECT_EQ(imagenet.resize, Resize::shorter);
  EXPECT_EQ(imagenet.width, 256);
  EXPECT_EQ(imagenet.crop_width, 224);
  EXPECT_EQ(imagenet.crop_height, 224);
  EXPECT_EQ(imagenet.scale, 1.0f / 255);
  EXPECT_EQ(imagenet.mean[1], 0.456f);
  EXPECT_EQ(imagenet.std[2], 0.225f);
  const ImageSpec boxed =
      parse_image_spec("filter:nearest,std:2,letterbox:640x480,fill:127.5,bgr,scale:1/127.5,mean:-1");
  EXPECT_EQ(boxed.order, Order::bgr);
  EXPECT_EQ(boxed.resize, Resize::letterbox);
  EXPECT_EQ(boxed.width, 640);
  EXPECT_EQ(boxed.height, 480);
  EXPECT_EQ(boxed.fill, 127.5f);
  EXPECT_EQ(boxed.filter, Filter::nearest);
  EXPECT_EQ(boxed.scale, 1 / 127.5f);
  EXPECT_EQ(boxed.mean[2], -1);
  EXPECT_EQ(boxed.std[1], 2);
  EXPECT_EQ(parse_image_spec("rgb"), ImageSpec());
  EXPECT_EQ(parse_image_spec("letterbox:64"), parse_image_spec("letterbox:64x64"));
}

TEST(ImageSpec, TextComesBackAsItWas) {
  for (const char* text :
       {"rgb", "grey,resize:28x28,mean:0.1307,std:0.3081", "bgr,letterbox:640x480,fill:0,filter:bilinear_aliased",
        "rgb,resize:256,crop:224x192,filter:bicubic,scale:0.007843138,mean:1/1/1", "rgb,crop:7x5,std:1/-2/1e-20",
        "rgb,letterbox:416x416"})
    EXPECT_EQ(to_text(parse_image_spec(text)), text);
}

TEST(ImageSpec, RefusesTextThatSaysNothing) {
  EXPECT_ERROR(parse_image_spec(""), "image spec ''", "rgb, bgr, grey", "letterbox");
  EXPECT_ERROR(parse_image_spec("rgb,resise:224"), "'resise:224'", "resize");
  EXPECT_ERROR(parse_image_spec("rgb,"), "'' is none of");
  EXPECT_ERROR(parse_image_spec("rgb,resize"), "'resize'", "value");
  EXPECT_ERROR(parse_image_spec("rgb,bgr"), "channels", "twice");
  EXPECT_ERROR(parse_image_spec("mean:1,mean:2"), "mean", "twice");
  EXPECT_ERROR(parse_image_spec("resize:1,letterbox:2"), "letterbox: there is another size");
  for (const char* size : {"", "0", "-1", "65537", "224x", "x224", "224x224x3", "224X224", "22.5", " 224"})
    EXPECT_ERROR(parse_image_spec(cat("resize:", size)), "resize: ");
  EXPECT_ERROR(parse_image_spec("mean:1/2"), "mean", "2 numbers for 3 channels");
  EXPECT_ERROR(parse_image_spec("grey,mean:1/2/3"), "3 numbers for 1 channel");
  EXPECT_ERROR(parse_image_spec("mean:1//2"), "''");
  EXPECT_ERROR(parse_image_spec("mean:nan"), "not finite");
  EXPECT_ERROR(parse_image_spec("std:1/0/1"), "std is 0");
  EXPECT_ERROR(parse_image_spec("scale:1/0"), "scale");
  EXPECT_ERROR(parse_image_spec("scale:1/2/3"), "scale");
  EXPECT_ERROR(parse_image_spec("letterbox:8,fill:256"), "fill");
  EXPECT_ERROR(parse_image_spec("fill:0"), "letterbox");
  EXPECT_ERROR(parse_image_spec("filter:lanczos"), "'lanczos'", "bilinear, bicubic");
  EXPECT_ERROR(parse_image_spec("resize:224,crop:256"), "256x256 is larger");
  EXPECT_ERROR(parse_image_spec("letterbox:224,crop:22"), "letterbox");
}

TEST(ImageSpec, FitsTypesThatPicturesBecome) {
  const ImageSpec spec = parse_image_spec("rgb,resize:8x4");
  for (const char* type :
       {"f32[1,3,4,8]", "f16[1,4,8,3]", "u8[N,H,W,3]", "f32[3,4,8]", "u8[4,8,3]", "f32[N,C,H,W]", "f32[?,?,?,?]"})
    EXPECT_EQ(error_of([&] { check_image_spec(spec, parse_type(type)); }), "no error") << type;
  EXPECT_ERROR(check_image_spec(spec, parse_type("f32[1,3,8,4]")), "8x4", "f32[1,3,8,4]");
  EXPECT_ERROR(check_image_spec(spec, parse_type("i64[1,3,4,8]")), "i64[1,3,4,8]", "f32, f16 or u8");
  EXPECT_ERROR(check_image_spec(spec, parse_type("f32[4,8]")), "3 dims");
  EXPECT_ERROR(check_image_spec(spec, parse_type("f32[1,1,3,4,8]")), "3 dims");
  EXPECT_ERROR(check_image_spec(spec, parse_type("f32[...]")), "3 dims");
  EXPECT_ERROR(check_image_spec(spec, parse_type("seq(f32[3,4,8])")), "f32, f16 or u8");
  EXPECT_ERROR(check_image_spec(spec, parse_type("f32[2,3,4,8]")), "batch of one");
  EXPECT_ERROR(check_image_spec(spec, parse_type("f32[1,1,4,8]")), "'rgb' has 3 channels");
  EXPECT_ERROR(check_image_spec(parse_image_spec("grey"), parse_type("f32[1,3,4,8]")), "'grey' has 1 channel");
  for (const char* levels : {"mean:0.5", "std:2", "scale:1"})
    EXPECT_ERROR(check_image_spec(parse_image_spec(levels), parse_type("u8[1,3,4,8]")), "u8 takes levels");
}

const char* const text_of_model =
    "input x f32[N,3,4,8] image \"bgr,resize:8x4,mean:0.5/0.5/0.5\"\n"
    "y = Unary kind=neg (x)\n"
    "output y\n";

TEST(ImageSpec, StaysWithTheModel) {
  Graph graph = parse_graph(text_of_model);
  EXPECT_EQ(to_text(parse_graph(to_text(graph))), to_text(graph));
  EXPECT_NE(to_text(graph).find("image \"bgr,resize:8x4,mean:0.5/0.5/0.5\""), std::string::npos);
  run_passes(graph, general_passes());
  ASSERT_TRUE(graph[graph.inputs[0]].image);
  const Stored stored = store(graph);
  inlay::Graph proto;
  ASSERT_TRUE(proto.ParseFromString(stored.section));
  EXPECT_EQ(proto.inputs(0).image(), "bgr,resize:8x4,mean:0.5/0.5/0.5");
  const Graph again = read(stored.section, stored.weights);
  ASSERT_TRUE(again[again.inputs[0]].image);
  EXPECT_EQ(*again[again.inputs[0]].image, *graph[graph.inputs[0]].image);
  proto.mutable_inputs(0)->set_image("rgb,sharpen:3");
  EXPECT_ERROR(read(proto.SerializeAsString(), {}), "input 'x'", "sharpen:3");
  proto.mutable_inputs(0)->set_image("grey");
  EXPECT_ERROR(read(proto.SerializeAsString(), {}), "input 'x'", "1 channel");
}

TEST(ImageSpec, SessionsTakePictures) {
  Session session(model_of(parse_graph(text_of_model)));
  std::vector<uint8_t> pixels(16 * 8 * 4);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i % 4 * 51);  // R 0, G 51, B 102
  const Picture picture{PixelFormat::rgba, 16, 8, pixels.data()};
  session.set_picture(0, picture);
  session.run();
  EXPECT_EQ(to_text(session.output(0).shape), "[1,3,4,8]");
  for (int c = 0; c < 3; ++c)
    for (int i = 0; i < 32; ++i) EXPECT_NEAR(load<double>(session.output(0), c * 32 + i), 0.5 - 0.2 * (2 - c), 1e-6);
  const Picture missing{PixelFormat::rgb, 16, 8, nullptr};
  EXPECT_ERROR(session.set_picture(0, missing), "input 'x'", "no data");
  EXPECT_ERROR(session.set_picture(1, picture), "no input 1");
  session.run();  // on the picture before
  EXPECT_NEAR(load<double>(session.output(0), 0), 0.1, 1e-6);
  const ConstantPtr tensor = test::tensor(DType::f32, {2, 3, 4, 8}, Numbers(192, 3));
  session.set_input(0, tensor->view());
  session.run();
  EXPECT_EQ(load<double>(session.output(0), 191), -3);
  const auto before = allocations_so_far();
  session.set_picture(0, picture);
  EXPECT_EQ(allocations_so_far(), before);
}

TEST(ImageSpec, SessionsSayWhyAPictureDoesNotSuit) {
  const std::vector<uint8_t> pixels(16 * 8 * 3);
  const Picture picture{PixelFormat::rgb, 16, 8, pixels.data()};
  Session plain(model_of(parse_graph("input x f32[1,3,4,8]\noutput x\n")));
  EXPECT_ERROR(plain.set_picture(0, picture), "input 'x'", "f32[1,3,4,8]", "convert --image");
  Session whole(model_of(parse_graph("input x u8[4,8,3] image \"rgb\"\noutput x\n")));
  EXPECT_ERROR(whole.set_picture(0, picture), "input 'x'", "16x8", "u8[4,8,3]", "resize");
}
}  // namespace
}  // namespace engine
