#include "tools/verbs.h"
#include <CLI/CLI.hpp>

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
void Verb::device(std::string& to) {
  choice("--device", to, "Where to run", {"cpu", "cuda"});
}
void Verb::strict(bool& to) { flag("--strict", to, "Use no kernel whose error is larger than a direct sum's"); }
void Verb::json(bool& to) { flag("--json", to, "Print the results as JSON"); }
void Verb::examples(const char* text) { app_->footer(std::string("Examples:\n") + text); }
void Verb::run(std::function<void()> f) { app_->callback(std::move(f)); }
}  // namespace tools
