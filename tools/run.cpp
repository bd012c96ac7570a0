// inlay run: one run of a model on values from files.
#include "kernels/threads.h"
#include "tools/inputs.h"
#include "tools/outputs.h"
#include "tools/verbs.h"

namespace tools {
namespace {
struct RunArguments {
  DeviceArguments device;
  std::string model, folder, labels;
  std::vector<std::string> inputs, images;
  int threads = 0;
  int top = 0;
  CompileOptions compile;
  bool json = false;
};

std::string top_text(const std::vector<Ranked>& ranked) {
  std::string text;
  for (size_t i = 0; i < ranked.size(); ++i)
    text += format("%2zu.  %.4f  %s\n", i + 1, ranked[i].value, ranked[i].label.c_str());
  return text;
}

Json to_json(const std::vector<Ranked>& ranked) {
  Json list = Json::array();
  for (const Ranked& r : ranked) list.push_back({{"label", r.label}, {"value", r.value}, {"index", r.index}});
  return list;
}

void print_results(const RunArguments& arguments, Session& session, const std::vector<Ranked>& ranked,
                   OutputFolder* folder) {
  Json list = Json::array();
  std::string text;
  for (size_t k = 0; k < session.model().outputs(); ++k) {
    const std::string& name = session.model().output_name(k);
    if (folder || arguments.json) list.push_back(describe(name, session.output(k), folder));
    text += summary(name, session.output(k));
  }
  if (arguments.json) return print_json(ranked.empty() ? list : Json{{"outputs", list}, {"top", to_json(ranked)}});
  print(ranked.empty() ? text : top_text(ranked));
}

void run(RunArguments arguments) {
  use_device(arguments.device, arguments.compile);
  const bool ranks = !arguments.labels.empty() || arguments.top > 0;
  const auto labels = arguments.labels.empty() ? std::vector<std::string>() : read_labels(arguments.labels);
  std::optional<OutputFolder> folder;
  Graph graph = load_graph(arguments.model).graph;
  set_images(graph, arguments.images);
  const auto model = std::make_shared<const Model>(std::move(graph), arguments.compile);
  const Values values = read_inputs(model->graph(), arguments.inputs);
  std::optional<kernels::ThreadPool> pool;
  if (arguments.threads) pool.emplace(arguments.threads);
  Session session(model, {.threads = 0, .pool = pool ? &*pool : nullptr, .own_states = true});
  set_inputs(session, values);
  if (!arguments.folder.empty()) folder.emplace(arguments.folder);
  session.run();
  print_results(arguments, session,
                ranks ? top(session, labels, size_t(arguments.top ? arguments.top : 5)) : std::vector<Ranked>(),
                folder ? &*folder : nullptr);
}
}  // namespace

void add_run(CLI::App& command) {
  const auto arguments = std::make_shared<RunArguments>();
  Verb verb(command, "run", "Run a model once, on inputs from files");
  verb.model(arguments->model);
  verb.texts("-i,--input", arguments->inputs,
             "The value of an input: a .npy file, or a picture (JPEG, PNG, BMP, GIF, PPM). A lone input needs no NAME=",
             "NAME=FILE");
  verb.texts("--image", arguments->images,
             "How a picture becomes an input, in place of what the model says: a list of rgb|bgr|grey, resize:WxH, "
             "resize:N (the shorter side), crop:WxH, letterbox:WxH, fill:LEVEL, filter:bilinear|bicubic|"
             "bilinear_aliased|nearest, scale:F (of levels 0 to 255; 1/255 unless given), mean:F/F/F, std:F/F/F",
             "[NAME=]SPEC");
  verb.text("-o,--output", arguments->folder, "Write one .npy file per output into this folder", "DIR");
  verb.number("-t,--threads", arguments->threads, "Threads to use; by default, as many as there are cores", 1,
              max_threads);
  verb.device(arguments->device);
  verb.compile_options(arguments->compile);
  verb.text("--labels", arguments->labels, "Print the likeliest classes, by the names in this file, one a line",
            "FILE");
  verb.number("--top", arguments->top, "How many classes to print; 5 unless given", 1, 1 << 20);
  verb.json(arguments->json);
  verb.examples(
      "  inlay run m.inlay -i x.npy                                  a summary of every output\n"
      "  inlay run m.onnx -i ids=ids.npy -i mask=mask.npy -o out     every output as out/NAME.npy\n"
      "  inlay run m.inlay -i photo.jpg --labels labels.txt --top 3\n"
      "  inlay run m.onnx -i photo.jpg --image rgb,resize:256,crop:224,mean:0.485/0.456/0.406,std:0.229/0.224/0.225");
  verb.run([arguments] { run(*arguments); });
}
}  // namespace tools
