// The one place where Asio and Beast are compiled. Whoever includes them links maru::asio: two ways of compiling
// them in one program are two different definitions of the same functions.
#include <utility>

#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
