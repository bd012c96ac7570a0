// The verbs of the command, and how each declares its arguments.
#pragma once
#include <functional>
#include <string>
#include <vector>
#include "engine/plan.h"

namespace CLI {
class App;
}

namespace tools {
struct DeviceArguments;
// One verb. What arguments are stored in must live as long as the command: a verb's shared_ptr does.
class Verb {
 public:
  Verb(CLI::App& command, const char* name, const char* what_it_does);
  void model(std::string&);
  void argument(const char* name, std::string&, const char* help);  // may be left out
  // `names`: "-t,--threads".
  void text(const char* names, std::string&, const char* help, const char* value, bool required = false);
  void texts(const char* names, std::vector<std::string>&, const char* help, const char* value);  // may be repeated
  void list(const char* names, std::vector<std::string>&, const char* help, const char* value);  // separated by commas
  void number(const char* names, int&, const char* help, int least, int most);
  void numbers(const char* names, std::vector<int>&, const char* help, int least, int most);  // separated by commas
  void choice(const char* names, std::string&, const char* help, std::vector<std::string> choices);
  void flag(const char* names, bool&, const char* help);
  void device(DeviceArguments&);
  void compile_options(engine::CompileOptions&);
  void json(bool&);
  void examples(const char*);
  void run(std::function<void()>);

 private:
  CLI::App* app_;
};

void add_convert(CLI::App&);
void add_run(CLI::App&);
void add_info(CLI::App&);
void add_plan(CLI::App&);
void add_bench(CLI::App&);
void add_profile(CLI::App&);
void add_kernels(CLI::App&);
void add_tune(CLI::App&);
void add_ops(CLI::App&);
}  // namespace tools
