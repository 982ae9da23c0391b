//! Small programs that embed and extend IEMS; see the files beside this one.
