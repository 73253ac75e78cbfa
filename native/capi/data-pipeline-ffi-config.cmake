# find_package(data-pipeline-ffi) gives data-pipeline-ffi::shared and data-pipeline-ffi::static.
get_filename_component(_dp_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(APPLE)
  set(_dp_shared "${_dp_prefix}/lib/libdata-pipeline-ffi.dylib")
elseif(WIN32)
  set(_dp_shared "${_dp_prefix}/bin/data-pipeline-ffi.dll")
else()
  set(_dp_shared "${_dp_prefix}/lib/libdata-pipeline-ffi.so")
endif()
if(NOT TARGET data-pipeline-ffi::shared)
  add_library(data-pipeline-ffi::shared SHARED IMPORTED)
  set_target_properties(data-pipeline-ffi::shared PROPERTIES
    IMPORTED_LOCATION "${_dp_shared}" INTERFACE_INCLUDE_DIRECTORIES "${_dp_prefix}/include")
  if(WIN32)
    set_target_properties(data-pipeline-ffi::shared PROPERTIES IMPORTED_IMPLIB "${_dp_prefix}/lib/libdata-pipeline-ffi.dll.a")
  endif()
endif()
if(NOT TARGET data-pipeline-ffi::static AND EXISTS "${_dp_prefix}/lib/libdata-pipeline-ffi.a")
  find_package(Threads REQUIRED)
  add_library(data-pipeline-ffi::static STATIC IMPORTED)
  set_target_properties(data-pipeline-ffi::static PROPERTIES
    IMPORTED_LOCATION "${_dp_prefix}/lib/libdata-pipeline-ffi.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_dp_prefix}/include"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m;gcc_s")
endif()
