// Writes the files that are made from the table of options: write_texts EXAMPLE REFERENCE

#include <fstream>
#include <iostream>

#include "config/load.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: write_texts EXAMPLE REFERENCE\n";
    return 2;
  }
  std::ofstream{argv[1], std::ios::binary} << maru::config::example();
  std::ofstream{argv[2], std::ios::binary} << maru::config::reference();
  return 0;
}
