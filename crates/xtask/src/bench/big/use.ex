
  use @@MACROS@@.Schema, fields: [name: :string, size: :integer, open: :boolean]
