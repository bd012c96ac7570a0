// Voice activity in a stream, with a recurrent model whose state the session owns.
//   inlay convert silero_vad.onnx -o vad.inlay --state state=stateN
//   stream_vad_cpp vad.inlay < speech_16khz_mono.f32
#include <inlay/inlay.hpp>
#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 2) return std::fprintf(stderr, "usage: %s vad.inlay < samples.f32\n", argv[0]), 2;
  const inlay::Model model = inlay::Model::load(argv[1]);
  inlay::Session session(model, {.threads = 1});

  float frame[512];
  const int64_t rate = 16000;
  session.set_input("input", inlay::view(frame, {1, 512}));  // is read in place by every run
  session.set_input("sr", inlay::view(&rate, {}));
  const float silence[2 * 128] = {};
  session.set_input("state", inlay::view(silence, {2, 1, 128}));  // the first state; the session goes on from there

  for (int64_t i = 0; std::fread(frame, sizeof(float), 512, stdin) == 512; ++i) {
    const float speech = session.run()["output"].as<float>()[0];
    std::printf("%7.3f s  %.3f %s\n", double(i) * 512 / rate, double(speech), speech > 0.5f ? "speech" : "");
  }
} catch (const inlay::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
