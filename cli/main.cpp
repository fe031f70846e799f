#include "cli/app.h"

int main(int argc, char** argv) { return hsmith::cli::run_app(argc, argv); }
