// Prints the size of every struct of the header, and the place and size of each field, for structs.txt.
#include <inlay/inlay.h>
#include <cstdio>

#define SIZE(S) std::printf("%s %zu\n", #S, sizeof(S));
#define FIELD(S, F) std::printf("%s.%s %zu %zu\n", #S, #F, offsetof(S, F), sizeof(S::F));
int main() {
#include <structs.inc>  // written by check.sh
}
