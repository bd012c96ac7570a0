// inlay: convert, run, inspect and measure models. Exit status 0, 1 (failed) or 2 (usage).
#include <CLI/CLI.hpp>
#include <iostream>
#include "kernels/isa.h"
#include "tools/common.h"
#include "tools/verbs.h"

namespace tools {
Verb::Verb(CLI::App& command, const char* name, const char* what_it_does)
    : app_(command.add_subcommand(name, what_it_does)) {}

void Verb::model(std::string& to) { app_->add_option("model", to, "A .onnx or .inlay file")->required(); }
void Verb::argument(const char* name, std::string& to, const char* help) { app_->add_option(name, to, help); }
void Verb::text(const char* names, std::string& to, const char* help, const char* value, bool required) {
  app_->add_option(names, to, help)->type_name(value)->required(required)->capture_default_str();
}
void Verb::texts(const char* names, std::vector<std::string>& to, const char* help, const char* value) {
  app_->add_option(names, to, help)->type_name(value)->expected(1)->take_all();
}
void Verb::list(const char* names, std::vector<std::string>& to, const char* help, const char* value) {
  app_->add_option(names, to, help)->type_name(value)->delimiter(',')->expected(1)->take_all();
}
void Verb::number(const char* names, int& to, const char* help, int least, int most) {
  app_->add_option(names, to, help)->type_name("N")->check(CLI::Range(least, most));
}
void Verb::numbers(const char* names, std::vector<int>& to, const char* help, int least, int most) {
  app_->add_option(names, to, help)
      ->type_name("N,…")
      ->delimiter(',')
      ->expected(1)
      ->take_all()
      ->check(CLI::Range(least, most));
}
void Verb::choice(const char* names, std::string& to, const char* help, std::vector<std::string> choices) {
  app_->add_option(names, to, help)->check(CLI::IsMember(std::move(choices)))->capture_default_str();
}
void Verb::flag(const char* names, bool& to, const char* help) { app_->add_flag(names, to, help); }
void Verb::device(DeviceArguments& to) {
  choice("--device", to.name, "Where to run", {"cpu", "cuda"});
  flag("--device-fallback", to.fallback, "Run on the CPU where the device is not available");
  choice("--precision", to.precision, "What operands of products and convolutions may be rounded to, and what a device keeps between steps; sums are in fp32. Without it: what the model was converted with on a device, fp32 on the CPU. Of CPUs, 64-bit ARM with half precision takes fp16",
         {kernels::precision_names.begin(), kernels::precision_names.end()});
}
void Verb::compile_options(engine::CompileOptions& to) {
  flag("--strict", to.strict, "Use no kernel whose error is larger than a direct sum's, and keep numbers below 1.2e-38");
  app_->add_option_function<std::string>("--tune-cache", [&to](const std::string& path) { to.tuned = open_tuning(path); },
                                         "Follow what inlay tune has measured on this machine")->type_name("FILE");
  texts("--disable-pass", to.disabled_passes, "Compile without this graph pass, such as fuse_epilogues", "NAME");
}
void Verb::json(bool& to) { flag("--json", to, "Print the results as JSON"); }
void Verb::examples(const char* text) { app_->footer(std::string("Examples:\n") + text); }
void Verb::run(std::function<void()> f) { app_->callback(std::move(f)); }
}  // namespace tools

namespace {
enum Status { done = 0, failed = 1, usage = 2 };

int report(const std::string& message, Status status) {
  tools::note("error: " + message);
  return status;
}

void check_verb(const CLI::App& app, const std::string& word) {
  std::string verbs;
  for (const CLI::App* verb : app.get_subcommands({})) {
    if (verb->check_name(word)) return;
    verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
  }
  if (!word.starts_with('-')) throw tools::UsageError("there is no verb '" + word + "'; there are: " + verbs);
}

int parse_and_run(CLI::App& app, int argc, char** argv) {
  try {
    if (argc > 1) check_verb(app, argv[1]);
    app.parse(argc, argv);
    return done;
  } catch (const CLI::Success& e) {  // help, version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    const auto verbs = app.get_subcommands();  // those on the command line
    return report(engine::cat(e.what(), "; see: inlay ", verbs.empty() ? "" : verbs[0]->get_name() + " ", "-h"), usage);
  } catch (const tools::UsageError& e) {
    return report(e.what(), usage);
  } catch (const std::bad_alloc&) {
    return report("out of memory", failed);
  } catch (const std::exception& e) {
    return report(e.what(), failed);
  }
}
}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Inlay runs trained neural networks: ONNX in, one .inlay file, answers out.", "inlay");
  app.require_subcommand(1);
  app.footer(
      "inlay VERB -h says more about a verb. Results go to stdout, all else to stderr.\n"
      "Exit status: 0 done, 1 failed, 2 a mistake in the command line.");
  tools::add_convert(app);
  tools::add_run(app);
  tools::add_info(app);
  tools::add_plan(app);
  tools::add_bench(app);
  tools::add_profile(app);
  tools::add_kernels(app);
  tools::add_tune(app);
  tools::add_ops(app);
  if (!kernels::isa::error().empty()) return report(kernels::isa::error(), usage);
  const int status = parse_and_run(app, argc, argv);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout.flush())
    return report("the results cannot be written to standard output", failed);
  return status;
}
