// C++'s operators in all their forms: where memory is, and where it is not.
#include "need.h"
#include <initializer_list>
#include <new>
#include <sys/resource.h>

struct alignas(128) Wide {
    char bytes[256];
};
static int handled;

static void handler() {
    if (++handled == 3) std::set_new_handler(nullptr);
}

template <typename Operation> static bool throws(Operation operation) {
    try {
        hide(operation());
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

int main() {
    std::align_val_t align{256};
    for (size_t bytes = 0; bytes < 200000; bytes = bytes * 3 + 1) {
        void *plain = ::operator new(bytes), *array = ::operator new[](bytes);
        void *quiet = ::operator new(bytes, std::nothrow), *quiet_array = ::operator new[](bytes, std::nothrow);
        void *aligned = ::operator new(bytes, align), *aligned_array = ::operator new[](bytes, align);
        void *both = ::operator new(bytes, align, std::nothrow), *both_array = ::operator new[](bytes, align, std::nothrow);
        NEED(plain && array && plain != array && quiet && quiet_array && both && both_array);
        for (void *block : {aligned, aligned_array, both, both_array}) NEED(is_aligned(block, 256));
        for (void *block : {plain, aligned, both_array}) NEED(malloc_usable_size(block) >= bytes);
        ::operator delete(plain);
        ::operator delete[](array, bytes);
        ::operator delete(quiet, std::nothrow);
        ::operator delete[](quiet_array, std::nothrow);
        ::operator delete(aligned, align);
        ::operator delete[](aligned_array, bytes, align);
        ::operator delete(both, align, std::nothrow);
        ::operator delete[](both_array, align, std::nothrow);
    }
    ::operator delete(nullptr);
    delete new Wide;
    delete[] new Wide[7];
    const size_t huge = size_t(PTRDIFF_MAX) - 4096;
    NEED(throws([=] { return ::operator new(huge); }));
    NEED(throws([=] { return ::operator new[](huge); }));
    NEED(throws([=] { return ::operator new(huge, align); }));
    NEED(throws([=] { return ::operator new[](huge, align); }));
    NEED(!::operator new(huge, std::nothrow) && !::operator new[](huge, std::nothrow));
    NEED(!::operator new(huge, align, std::nothrow) && !::operator new[](huge, align, std::nothrow));
    std::set_new_handler(handler);
    NEED(throws([=] { return ::operator new(huge); }) && handled == 3);
    puts("ok");
}
