//! The two stores behind one surface.
